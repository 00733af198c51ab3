#!/usr/bin/env bash
# Does the whole job of a private CA with curl alone, and has OpenSSL, GnuTLS and Python's cryptography
# judge everything that comes out.
#
#   scripts/judges/whole-job.sh BASE_URL WORKDIR
#
# BASE_URL: a server that has no user yet. WORKDIR: a folder for everything met; WORKDIR/secrets gets each
# secret the server was told or told us, one a line. FASTPKI_TEST_PYTHON: a Python with cryptography.
# Each judgement is a line; the first that fails ends the script.
set -euo pipefail

readonly BASE=${1:?the address of the server} WORK=${2:?a folder to work in}
readonly API=$BASE/api/v1
readonly PYTHON=${FASTPKI_TEST_PYTHON:?names no Python: run scripts/test}
HERE=$(cd "$(dirname "$0")" && pwd)
readonly HERE
# Key types as FAMILY-SIZE, which are also the names of folders.
readonly KEYS=(rsa-2048 ec-256 ec-384 ed25519-256)
readonly CSR_KEYS=(rsa-2048 P-256 P-384 P-521 ed25519)
readonly SERVER_AUTH=1.3.6.1.5.5.7.3.1 CLIENT_AUTH=1.3.6.1.5.5.7.3.2
judgements=0

main() {
    mkdir -p "$WORK"
    cd "$WORK"
    : >secrets
    : >manifest
    sign_in
    make_csr_keys
    local key
    for key in "${KEYS[@]}"; do
        make_authorities "$key"
        judge_authorities "$key"
        issue_all "$key"
        issue_for_csrs "$key"
        issue_sub_authority "$key"
        renew_one "$key"
        revoke_some "$key"
    done
    judge_with_python
    echo "$judgements judgements, all good"
}

# --- the server ---------------------------------------------------------------------------------------------

sign_in() {
    printf 'pass %s' "$(openssl rand -hex 16)" >password
    { cat password && echo; } >>secrets
    : >authorization
    jq -n --rawfile password password \
        '{username: "root", email: "root@example.com", role: "superuser", $password}' |
        send POST users/ >user.json
    curl_ --data-urlencode username=root --data-urlencode password@password "$API/auth/token" >tokens.json
    jq -r .access_token,.refresh_token tokens.json >>secrets
    jq -r '"Authorization: Bearer " + .access_token' tokens.json >authorization
    judge "users/me is who signed in" equal "$(get users/me | jq -r .username)" root
}

# make_authorities KEY: a root of that key, and an issuing CA of that key under it.
make_authorities() {
    local key=$1 name
    mkdir "$key"
    ask POST cas/ "{\"name\": \"Root $key\", \"subject_dn\": \"CN=Root $key,O=Example\\\\, Inc.,C=SE\",
        $(key_fields "$key"), \"path_length\": 2}" >"$key/root.json"
    name="Issuing $key"
    # Letters beyond ASCII are percent-encoded in the addresses of one of them.
    [[ $key != ec-384 ]] || name="Ausstellende Größe $key"
    ask POST cas/ "{\"name\": \"$name\", \"subject_dn\": \"C=SE,O=Example\\\\, Inc.,CN=$name\",
        $(key_fields "$key"), \"parent_ca_id\": $(jq .id "$key/root.json")}" >"$key/issuing.json"
    local ca id
    for ca in root issuing; do
        id=$(jq .id "$key/$ca.json")
        jq -j .private_key "$key/$ca.json" >"$key/$ca.answered.key"
        get "export/ca/$id/certificate" >"$key/$ca.pem"
        get "export/ca/$id/private-key" >"$key/$ca.key"
        keep_secret "$key/$ca.key"
    done
}

# issue KEY TYPE NAME FIELDS: a certificate with a server-made key, under the issuing CA of KEY, into
# KEY/NAME/. FIELDS are the rest of the request.
issue() {
    local folder=$1/$3 id
    mkdir "$folder"
    ask POST "certificates/?ca_id=$(jq .id "$1/issuing.json")" \
        "{\"certificate_type\": \"$2\", $4}" >"$folder/answer.json"
    id=$(jq .id "$folder/answer.json")
    get "export/certificate/$id/private-key" >"$folder/key.pem"
    keep_secret "$folder/key.pem"
    export_certificate "$folder"
}

# export_certificate FOLDER: the certificate of FOLDER/answer.json and its chain.
export_certificate() {
    local id
    id=$(jq .id "$1/answer.json")
    get "export/certificate/$id" >"$1/certificate.pem"
    get "export/certificate/$id/chain" >"$1/chain.pem"
}

key_fields() { echo "\"key_type\": \"${1%-*}\", \"key_size\": ${1#*-}"; }

# ask METHOD PATH BODY
ask() { printf %s "$3" | send "$1" "$2"; }

# send METHOD PATH, with the body from standard input
send() { curl_ --request "$1" --header 'Content-Type: application/json' --data-binary @- "$API/$2"; }

get() { curl_ "$API/$1"; }

curl_() {
    curl -q --noproxy '*' --silent --show-error --max-time 60 --header @authorization \
        --write-out '%{stderr}%{http_code}' "$@" 2>status >answer || {
        echo "FAILED: $(head -n 1 status): ${*: -1}" >&2
        exit 1
    }
    case $(cat status) in
    2*) cat answer ;;
    *)
        echo "FAILED: the server answers $(cat status) to ${*: -1}: $(cat answer)" >&2
        exit 1
        ;;
    esac
}

# status_of URL: nothing but the status.
status_of() { curl -q --noproxy '*' --silent --max-time 60 --output /dev/null --write-out '%{http_code}' "$@"; }

# download URL FILE MEDIA_TYPE: what is public, without signing in.
download() {
    local seen
    seen=$(curl -q --noproxy '*' --silent --show-error --max-time 60 --output "$2" \
        --write-out '%{http_code} %{content_type}' "$1")
    judge "$1 is served" equal "$seen" "200 $3"
}

# keep_secret FILE: the lines of a key that cannot be taken for anything else.
keep_secret() { { grep -v -e ----- "$1" | grep -E '.{16}' || true; } >>secrets; }

# --- certificates of every kind -----------------------------------------------------------------------------

# issue_all KEY: every type of certificate for every type of key.
issue_all() {
    local key=$1 of
    for of in "${KEYS[@]}"; do
        issue "$key" server "server-$of" "$(key_fields "$of"), \"common_name\": \"$of.example.com\",
            \"subject_dn\": \"CN=$of.example.com,O=Example\""
        judge_leaf "$key" "server-$of" "$of" server "$of.example.com"
        issue "$key" client "client-$of" "$(key_fields "$of"), \"common_name\": \"Alice\",
            \"subject_dn\": \"CN=Alice,UID=$of\", \"san_email_addresses\": [\"$of@example.com\"]"
        judge_leaf "$key" "client-$of" "$of" client "$of@example.com"
        issue "$key" dual_purpose "dual-$of" "$(key_fields "$of"), \"common_name\": \"*.$of.example.com\",
            \"subject_dn\": \"CN=*.$of.example.com\", \"san_dns_names\": [\"*.$of.example.com\"],
            \"san_ip_addresses\": [\"192.0.2.1\", \"2001:db8::1\"],
            \"san_email_addresses\": [\"node@example.com\"]"
        judge_leaf "$key" "dual-$of" "$of" dual_purpose "node.$of.example.com"
    done
}

# judge_leaf KEY NAME SUBJECT_KEY TYPE WHOM
judge_leaf() {
    local key=$1 folder=$1/$2
    judge "$folder: the answer holds the exported certificate" \
        equal "$(jq -r .certificate "$folder/answer.json")" "$(cat "$folder/certificate.pem")"
    judge "$folder: the answer holds the exported key" \
        equal "$(jq -r .private_key "$folder/answer.json")" "$(cat "$folder/key.pem")"
    judge_key "$folder" "$folder/key.pem" "$folder/certificate.pem" "$3"
    judge_certificate "$key" "$2" "$4" "$5"
}

# judge_certificate KEY NAME TYPE WHOM: what holds of every certificate under the issuing CA of KEY.
judge_certificate() {
    local key=$1 folder=$1/$2 type=$3 whom=$4
    printf '%s\t%s\t%s\t%s\n' "$key" "$2" "$type" "$whom" >>manifest
    judge "$folder: the chain is the certificate, the issuing CA and the root" \
        cmp "$folder/chain.pem" <(cat "$folder/certificate.pem" "$key/issuing.pem" "$key/root.pem")
    judge "$folder: its addresses are its issuer's" equal \
        "$(addresses "$folder/certificate.pem")" "$(cat "$key/issuing.addresses")"
    case $type in
    server) judge_purpose "$key" "$folder" sslserver $SERVER_AUTH hostname "$whom" ;;
    client) judge_purpose "$key" "$folder" sslclient $CLIENT_AUTH email "$whom" ;;
    dual_purpose)
        judge_purpose "$key" "$folder" sslserver $SERVER_AUTH hostname "$whom"
        judge_purpose "$key" "$folder" sslclient $CLIENT_AUTH email node@example.com
        judge "$folder: openssl verify, for an IPv6 address" openssl_verify "$key" "$folder" \
            -purpose sslserver -verify_ip 2001:db8::1
        ;;
    esac
    case $type in
    server) judge_refused "$folder: openssl verify, not good for a client" 'unsuitable certificate purpose' \
        openssl_verify "$key" "$folder" -purpose sslclient ;;
    client) judge_refused "$folder: openssl verify, not good for a server" 'unsuitable certificate purpose' \
        openssl_verify "$key" "$folder" -purpose sslserver ;;
    esac
    judge "$folder: openssl verify, with the CRLs of both CAs" openssl_verify "$key" "$folder" \
        -crl_check_all -CRLfile "$key/root.crl" -CRLfile "$key/issuing.crl"
    judge "$folder: certtool --verify-chain" certtool_ --verify-chain --infile "$folder/chain.pem"
}

# judge_purpose KEY FOLDER PURPOSE OID KIND NAME
judge_purpose() {
    judge "$2: openssl verify, $3 for $6" openssl_verify "$1" "$2" -purpose "$3" "-verify_$5" "$6"
    judge_refused "$2: openssl verify, not for another $5" mismatch \
        openssl_verify "$1" "$2" -purpose "$3" "-verify_$5" "${6/example/elsewhere}"
    judge "$2: certtool --verify, $3 for $6" certtool_ --verify --infile "$2/chain.pem" \
        --load-ca-certificate "$1/root.pem" --load-crl "$1/both.crl.pem" \
        "--verify-purpose=$4" "--verify-$5=$6"
}

# openssl_verify KEY FOLDER OPTION…
openssl_verify() {
    openssl verify -x509_strict -check_ss_sig "${@:3}" -CAfile "$1/root.pem" -untrusted "$1/issuing.pem" \
        "$2/certificate.pem"
}

# certtool warns that its default profile is to become the one named here.
certtool_() { certtool --verify-profile=medium "$@"; }

# judge_key WHAT KEY_FILE CERTIFICATE KEY_TYPE
judge_key() {
    local words
    judge "$1: openssl pkey loads the key, and finds it sound" openssl pkey -in "$2" -noout -check
    judge "$1: the key belongs to the certificate" equal \
        "$(openssl pkey -in "$2" -pubout)" "$(openssl x509 -in "$3" -noout -pubkey)"
    case $4 in
    rsa-*) words='(2048 bit' ;;
    ec-256) words='NIST CURVE: P-256' ;;
    ec-384) words='NIST CURVE: P-384' ;;
    ed25519-*) words='ED25519 Private-Key' ;;
    esac
    judge "$1: the key is $4" says "$words" openssl pkey -in "$2" -noout -text
}

# --- certificate authorities --------------------------------------------------------------------------------

judge_authorities() {
    local key=$1 ca
    for ca in root issuing; do
        judge "$key/$ca: the answer holds the exported certificate" \
            equal "$(jq -r .certificate "$key/$ca.json")" "$(cat "$key/$ca.pem")"
        judge "$key/$ca: the answer holds the exported key" cmp "$key/$ca.answered.key" "$key/$ca.key"
        judge_key "$key/$ca" "$key/$ca.key" "$key/$ca.pem" "$key"
    done
    judge "$key/root: path length 2" says 'CA:TRUE, pathlen:2' extension basicConstraints "$key/root.pem"
    judge "$key/issuing: path length 1" says 'CA:TRUE, pathlen:1' extension basicConstraints "$key/issuing.pem"
    judge "$key/issuing: openssl verify" \
        openssl verify -x509_strict -check_ss_sig -purpose crlsign -CAfile "$key/root.pem" "$key/issuing.pem"
    # Where a certificate's CRL and its issuer are is read from a certificate, as a client does.
    addresses "$key/issuing.pem" >"$key/root.addresses"
    download_authority "$key" root
    issue "$key" server pilot "$(key_fields ec-256), \"common_name\": \"pilot.example.com\",
        \"subject_dn\": \"CN=pilot.example.com\""
    addresses "$key/pilot/certificate.pem" >"$key/issuing.addresses"
    download_authority "$key" issuing
    judge_leaf "$key" pilot ec-256 server pilot.example.com
}

# download_authority KEY CA: certificate and CRL from the addresses found, and what the judges say.
download_authority() {
    local file=$1/$2 crl ca
    { read -r crl && read -r ca; } <"$file.addresses"
    download "$ca" "$file.crt" application/pkix-cert
    download "${ca%.crt}.pem" "$file.public.pem" application/x-pem-file
    judge "$file: the public certificate is the exported one" \
        cmp "$file.crt" <(openssl x509 -in "$file.pem" -outform DER)
    judge "$file: the public PEM is the exported one" cmp "$file.public.pem" "$file.pem"
    download_crl "$1" "$2"
    judge "$file: certtool --crl-info finds nothing revoked" says 'No revoked certificates' \
        certtool --crl-info --inder --infile "$file.crl"
    judge "$crl: no other slug leads there" equal "$(status_of "${crl/\/crl\//\/crl\/x}")" 404
}

# download_crl KEY CA: its current CRL.
download_crl() {
    local file=$1/$2 crl
    read -r crl <"$1/$2.addresses"
    download "$crl" "$file.crl" application/pkix-crl
    download "$crl.pem" "$file.crl.pem" application/x-pem-file
    [[ ! -e $1/root.crl.pem || ! -e $1/issuing.crl.pem ]] ||
        cat "$1/root.crl.pem" "$1/issuing.crl.pem" >"$1/both.crl.pem"
    [[ -e $1/both.crl.pem ]] || cp "$1/root.crl.pem" "$1/both.crl.pem"
    judge "$file.crl: the PEM is the DER" cmp "$file.crl" <(openssl crl -in "$file.crl.pem" -outform DER)
    judge "$file.crl: openssl crl verifies the signature" says 'verify OK' \
        openssl crl -inform DER -in "$file.crl" -CAfile "$file.pem" -noout
    judge "$file.crl: certtool --verify-crl" \
        certtool_ --verify-crl --inder --load-ca-certificate "$file.crt" --infile "$file.crl"
}

# addresses CERTIFICATE: the addresses of its issuer's CRL and certificate, a line each.
addresses() {
    local words
    words=$(extension crlDistributionPoints,authorityInfoAccess "$1")
    sed -n 's/^ *URI://p' <<<"$words"
    sed -n 's/^ *CA Issuers - URI://p' <<<"$words"
}

extension() { openssl x509 -noout -ext "$1" -in "$2"; }

# issue_sub_authority KEY: a certificate of type "ca", whose key then signs a server's certificate.
issue_sub_authority() {
    local key=$1 folder=$1/sub-ca
    issue "$key" ca sub-ca "$(key_fields "$key"), \"common_name\": \"Sub CA\", \"subject_dn\": \"CN=Sub CA\""
    judge_key "$folder" "$folder/key.pem" "$folder/certificate.pem" "$key"
    judge_certificate "$key" sub-ca ca 'Sub CA'
    judge "$folder: path length 0" says 'CA:TRUE, pathlen:0' extension basicConstraints "$folder/certificate.pem"
    printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'subjectAltName=DNS:below.example.com' \
        'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' >"$folder/below.extensions"
    openssl req -new -key csr-P-256.key -subj /CN=below.example.com -out "$folder/below.csr"
    judge "$folder: openssl signs with it" openssl x509 -req -in "$folder/below.csr" -days 1 \
        -CA "$folder/certificate.pem" -CAkey "$folder/key.pem" -extfile "$folder/below.extensions" \
        -out "$folder/below.pem"
    judge "$folder: openssl verify, what it signs" \
        openssl verify -x509_strict -purpose sslserver -verify_hostname below.example.com \
        -CAfile "$key/root.pem" -untrusted "$folder/chain.pem" "$folder/below.pem"
}

# --- certificate signing requests ---------------------------------------------------------------------------

make_csr_keys() {
    local of
    for of in "${CSR_KEYS[@]}"; do
        case $of in
        rsa-2048) openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "csr-$of.key" ;;
        P-*) openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$of" -out "csr-$of.key" ;;
        ed25519) openssl genpkey -algorithm ED25519 -out "csr-$of.key" ;;
        esac
        openssl req -new -utf8 -key "csr-$of.key" -out "csr-$of.pem" \
            -subj "/C=SE/L=Malmö/O=Example, Inc./OU=A/OU=B/CN=csr.example.com" \
            -addext 'subjectAltName=DNS:csr.example.com,DNS:www.csr.example.com,IP:192.0.2.7'
    done
}

# issue_for_csrs KEY: a server's certificate for each key, the CA by its id or by its name.
issue_for_csrs() {
    local key=$1 of folder ca
    for of in "${CSR_KEYS[@]}"; do
        folder=$key/csr-$of
        mkdir "$folder"
        ca='{ca_id: .id}'
        [[ $of != P-* ]] || ca='{ca_name: .name}'
        jq --rawfile csr "csr-$of.pem" "$ca + {certificate_type: \"server\", \$csr}" "$key/issuing.json" |
            send POST certificates/sign-csr >"$folder/answer.json"
        export_certificate "$folder"
        cp "csr-$of.key" "$folder/key.pem"
        judge "$folder: the answer holds the exported certificate" \
            equal "$(jq -r .certificate "$folder/answer.json")" "$(cat "$folder/certificate.pem")"
        judge "$folder: the answer holds no key" equal "$(jq .private_key "$folder/answer.json")" null
        judge "$folder: the certificate has the request's key" equal \
            "$(openssl x509 -in "$folder/certificate.pem" -noout -pubkey)" \
            "$(openssl req -in "csr-$of.pem" -noout -pubkey)"
        judge "$folder: the certificate has the request's subject" equal \
            "$(openssl x509 -in "$folder/certificate.pem" -noout -subject)" \
            "$(openssl req -in "csr-$of.pem" -noout -subject)"
        judge_certificate "$key" "csr-$of" server csr.example.com
    done
}

# --- renewal and revocation ---------------------------------------------------------------------------------

renew_one() {
    local key=$1 old=$1/server-ec-256 folder=$1/renewed id
    mkdir "$folder"
    ask POST "certificates/$(jq .id "$old/answer.json")/renew" '{}' >"$folder/answer.json"
    id=$(jq .id "$folder/answer.json")
    get "export/certificate/$id/private-key" >"$folder/key.pem"
    keep_secret "$folder/key.pem"
    export_certificate "$folder"
    judge_leaf "$key" renewed ec-256 server ec-256.example.com
    judge_refused "$folder: a renewal has a key of its own" differ cmp "$folder/key.pem" "$old/key.pem"
    judge "$folder: a renewal has the same subject" equal \
        "$(openssl x509 -in "$folder/certificate.pem" -noout -subject)" \
        "$(openssl x509 -in "$old/certificate.pem" -noout -subject)"
}

# revoke_some KEY: with a reason, with a free text, with none.
revoke_some() {
    local key=$1 before name
    before=$(crl_number "$key/issuing.crl")
    revoke "$key" server-rsa-2048 '{"reason": "key_compromise"}' key_compromise
    revoke "$key" client-ec-384 '{"reason": "left the company"}' none
    revoke "$key" csr-P-521 '{}' none
    revoke "$key" sub-ca '{"reason": "ca_compromise"}' ca_compromise
    judge "$key/issuing.crl: its number has grown" test $((before)) -lt $(($(crl_number "$key/issuing.crl")))
    openssl crl -inform DER -in "$key/issuing.crl" -noout -text >"$key/issuing.crl.text"
    for name in 'Key Compromise' 'CA Compromise'; do
        judge "$key/issuing.crl: one reason is $name" equal "$(grep -c "$name" "$key/issuing.crl.text")" 1
    done
    judge "$key/issuing.crl: two entries have a reason" \
        equal "$(grep -c 'CRL Reason Code' "$key/issuing.crl.text")" 2
    judge "$key/issuing.crl: certtool --crl-info" says 'Revoked certificates (4)' \
        certtool --crl-info --inder --infile "$key/issuing.crl"
    judge "$key/server-ec-256: openssl verify, still good" openssl_verify "$key" "$key/server-ec-256" \
        -crl_check_all -CRLfile "$key/root.crl" -CRLfile "$key/issuing.crl"
}

# revoke KEY NAME BODY REASON
revoke() {
    local key=$1 folder=$1/$2 id
    id=$(jq .id "$folder/answer.json")
    ask POST "certificates/$id/revoke" "$3" >"$folder/revoked.json"
    echo "$4" >"$folder/revoked"
    judge "$folder: the answer says revoked" equal "$(jq -r .status "$folder/revoked.json")" revoked
    judge "$folder: it cannot be revoked twice" equal 409 "$(status_of --header @authorization \
        --header 'Content-Type: application/json' --data '{}' "$API/certificates/$id/revoke")"
    download_crl "$key" issuing
    judge_refused "$folder: openssl verify, revoked" 'certificate revoked' openssl_verify "$key" "$folder" \
        -crl_check_all -CRLfile "$key/root.crl" -CRLfile "$key/issuing.crl"
    judge_refused "$folder: certtool --verify, revoked" 'certificate chain is revoked' \
        certtool_ --verify --infile "$folder/chain.pem" --load-ca-certificate "$key/root.pem" \
        --load-crl "$key/both.crl.pem"
    # certtool does not print reasons.
    judge "$key/issuing.crl: certtool --crl-info finds its serial" says "$(jq -r .serial_number "$folder/answer.json")" \
        certtool --crl-info --inder --infile "$key/issuing.crl"
}

crl_number() { openssl crl -inform DER -in "$1" -noout -crlnumber | sed 's/.*=//'; }

# --- judging ------------------------------------------------------------------------------------------------

judge_with_python() {
    "$PYTHON" "$HERE/verify.py" . >python.out 2>&1 || {
        grep '^ok ' python.out || true
        grep -v '^ok ' python.out >&2 || true
        exit 1
    }
    cat python.out
    judgements=$((judgements + $(grep -c '^ok ' python.out)))
}

# judge WHAT COMMAND…: the command must succeed.
judge() {
    local what=$1 words
    shift
    words=$("$@" 2>&1) || failed "$what" "$words"
    passed "$what"
}

# judge_refused WHAT WORDS COMMAND…: the command must fail, with these words.
judge_refused() {
    local what=$1 expected=$2 words
    shift 2
    words=$("$@" 2>&1) && failed "$what" "not refused: $words"
    [[ ${words,,} == *"${expected,,}"* ]] || failed "$what" "refused, but not because of \"$expected\": $words"
    passed "$what"
}

# says WORDS COMMAND…
says() {
    local expected=$1 words
    shift
    words=$("$@" 2>&1) || {
        echo "$words"
        return 1
    }
    [[ $words == *"$expected"* ]] || {
        echo "\"$expected\" is missing in: $words"
        return 1
    }
}

equal() {
    [[ -n $1 && $1 == "$2" ]] || {
        printf '"%s" is not "%s"\n' "$1" "$2"
        return 1
    }
}

passed() {
    judgements=$((judgements + 1))
    echo "ok $1"
}

failed() {
    printf 'FAILED: %s\n%s\n' "$1" "$2" >&2
    exit 1
}

main
