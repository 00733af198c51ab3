"""How schemathesis signs in, what it is kept from, and what of its findings is none: loaded by api.py."""

import itertools
import json
import os
import re

import jsonschema_rs
import requests
import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.parameters import ParameterLocation
from schemathesis.openapi.checks import RejectedPositiveData

JUDGE = json.loads(os.environ["FASTPKI_JUDGE"])
WHO = JUDGE["who"]
API = f"{JUDGE['base_url']}/api/v1"
DESCRIPTION = requests.get(f"{API}/openapi.json", timeout=60).json()

# --- signing in ---------------------------------------------------------------------------------------------

# These end the session that they come in, so that each gets one of its own, of somebody else.
ENDINGS = ["/api/v1/auth/logout", "/api/v1/auth/invalidate"]


def sign_in(name):
    form = {"username": name, "password": JUDGE["password"]}
    answer = requests.post(f"{API}/auth/token", data=form, timeout=60)
    answer.raise_for_status()
    return answer.json()


class Bearer:
    """The token that requests have, and after a 401 another."""

    users = {"superuser": "root", "admin": "admin"}

    def get(self, case, context):
        if WHO == "service-account":
            return JUDGE["service_account_token"]
        return sign_in(self.users[WHO])["access_token"]

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


class Leaver(Bearer):
    users = {"superuser": "leaver", "admin": "leaving-admin"}


schemathesis.auth(refresh_interval=600).skip_for(path=ENDINGS)(Bearer)
schemathesis.auth(refresh_interval=None).apply_to(path=ENDINGS)(Leaver)

# --- what it is led to, and kept from -----------------------------------------------------------------------


@schemathesis.hook
def before_call(context, case, kwargs):
    bring_a_live_refresh_token(case)
    bring_what_fits(case)
    spare_those_who_judge(case)
    spare_time(case)


def bring_a_live_refresh_token(case):
    """Each is good for one request, so that no dictionary has them; the odd requests get one."""
    if case.path == "/api/v1/auth/refresh" and case.meta and case.meta.generation.mode.is_positive:
        if isinstance(case.body, dict) and next(refreshes) % 2:
            case.body["refresh_token"] = sign_in("leaver")["refresh_token"]


refreshes = itertools.count(1)


def bring_what_fits(case):
    """Names, a CA and a type that fit each other are rare: of requests for certificates, the odd ones get them."""
    if case.path not in ISSUANCE or not case.meta or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.body, dict) and next(issuances) % 2:
        name = {"common_name": "fuzzed.example.com", "subject_dn": "CN=fuzzed.example.com,O=Example"}
        nothing = dict.fromkeys(("san_ip_addresses", "san_email_addresses", "san_dns_names"))
        case.body.update({"certificate_type": "server", **name, **nothing})
        if (case.body.get("valid_days") or 0) > 365:
            case.body["valid_days"] = 365
        (case.body if case.path.endswith("sign-csr") else case.query)["ca_id"] = JUDGE["issuing"][WHO]


ISSUANCE = ("/api/v1/certificates/", "/api/v1/certificates/sign-csr")
issuances = itertools.count(1)


def spare_those_who_judge(case):
    """Who signs in here, CAs that issue, and an account with tokens stay: asked to end them, it asks for none."""
    variable, spared = SPARED.get((case.method, case.path), (None, ()))
    text = str(case.path_parameters.get(variable))
    if re.fullmatch(r"-?\d+", text) and int(text) in spared:
        case.path_parameters[variable] = 2**31 - 1


USER, MEMBER = "/api/v1/users/{user_id}", "/api/v1/organizations/{organization_id}/users/{user_id}"
SPARED = {
    ("PATCH", USER): ("user_id", JUDGE["protected"]),
    ("DELETE", USER): ("user_id", JUDGE["protected"]),
    ("POST", MEMBER): ("user_id", JUDGE["protected"]),
    ("DELETE", MEMBER): ("user_id", JUDGE["protected"]),
    ("PATCH", "/api/v1/cas/{ca_id}"): ("ca_id", JUDGE["issuing"].values()),
    ("DELETE", "/api/v1/cas/{ca_id}"): ("ca_id", JUDGE["issuing"].values()),
    ("POST", "/api/v1/cas/{ca_id}/revoke"): ("ca_id", JUDGE["issuing"].values()),
    ("DELETE", "/api/v1/service-accounts/{sa_id}"): ("sa_id", [JUDGE["account"]]),
}


def spare_time(case):
    """An RSA key of 8192 bits takes half a minute to make; one of 2048 bits says as much of the API."""
    if isinstance(case.body, dict) and case.body.get("key_size") in (3072, 4096, 8192):
        if case.body.get("key_type") in (None, "rsa"):
            case.body["key_size"] = 2048


# --- what is no finding -------------------------------------------------------------------------------------

# Rules that JSON Schema has no words for: a 422 with these, and no others, is right for what fits the schema.
BEYOND_SCHEMA = {
    # bcrypt's 72 are bytes; maxLength counts characters.
    ("password", "string_too_long"),
    # A name that passes for another: characters that cannot be seen, letters of several scripts, this program's own name.
    ("name", "value_error"),
    ("username", "value_error"),
    # Blanks and characters that cannot be seen.
    ("password", "value_error"),
    # Whether an address of these characters is one.
    ("san_ip_cidrs", "value_error"),
    # The 31st of February.
    ("expires_at", "datetime_parsing"),
    ("expires_before", "datetime_parsing"),
    ("expires_after", "datetime_parsing"),
    ("since", "datetime_parsing"),
    ("until", "datetime_parsing"),
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    keeps = is_finding(failure, case, response)
    if not keeps:
        with open(f"{WHO}.dropped", "a", encoding="utf-8") as dropped:
            answer = f"{response.status_code} {response.text}"
            dropped.write(f"{type(failure).__name__}: {case.as_curl_command()}: {answer}\n")
    return keeps


def is_finding(failure, case, response):
    if isinstance(failure, RejectedPositiveData) and response.status_code == 422:
        problems = response.json()["detail"]
        return not all(is_beyond_schema(problem, case) for problem in problems)
    if isinstance(failure, AcceptedNegativeData):
        return not is_valid_as_read(case)
    return True


def is_beyond_schema(problem, case):
    place, field, *_ = [*problem["loc"], None]
    if place == "path":
        # Following a link that it guessed, schemathesis takes null for an id.
        return case.path_parameters.get(field) in (None, "None", "null")
    return (field, problem["type"]) in BEYOND_SCHEMA


def is_valid_as_read(case):
    """Whether nothing is wrong with a body but that numbers or booleans come otherwise than the description says.

    FastPKI takes them as FastPKI 0.4 did: 1, "1" and "yes" are true, "7" and 7.0 are 7. The description says how
    they ought to come.
    """
    elsewhere = (it for location, it in case.meta.components.items() if location != ParameterLocation.BODY)
    if not isinstance(case.body, dict) or any(component.mode.is_negative for component in elsewhere):
        return False
    name = body_schema(case)
    properties = DESCRIPTION["components"]["schemas"][name]["properties"]
    read = {field: as_read(value, properties.get(field, {})) for field, value in case.body.items()}
    schema = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    return jsonschema_rs.validator_for(schema).is_valid(read)


def body_schema(case):
    operation = DESCRIPTION["paths"][case.path][case.method.lower()]
    (content,) = operation["requestBody"]["content"].values()
    return content["schema"]["$ref"].rpartition("/")[2]


def as_read(value, schema):
    kinds = schema.get("type", [])
    if "boolean" in kinds:
        return BOOLEANS.get(str(value).lower(), value) if isinstance(value, (str, int, float)) else value
    if "integer" in kinds and isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]+\s*", value):
        return int(value)
    if "array" in kinds and isinstance(value, list):
        return [as_read(item, schema["items"]) for item in value]
    return value


BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
