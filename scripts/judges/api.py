#!/usr/bin/env python3
"""Has schemathesis hold what a server does against what its OpenAPI description says.

    scripts/judges/api.py BASE_URL WORKDIR [--examples N] [--thorough] [--seed N] [--as WHO]

BASE_URL: a server that has no user yet, with ENABLE_DOCS, an AUTH_RATE_LIMIT that 10,000 attempts do not
reach, and CA_KEY_SIZE=2048. WORKDIR: a folder for reports. The Python that runs this has schemathesis:
scripts/test installs it. As a service account, as an admin and as a superuser, one after the other, --as
picks one. How much is asked is a number of examples: --examples, or that of schemathesis.toml, however long it
takes, since a limit of time ends phases early on a busy machine and finds nothing where nothing was asked.
What was asked is counted, and too little of it is a failure. --thorough has every phase for everybody, where
coverage is for the superuser alone otherwise. WORKDIR/WHO.dropped has what was found and taken for none.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import requests

HERE = Path(__file__).resolve().parent
# As in schemathesis.toml, of a server that lives for minutes.
PASSWORD = "correct horse battery"
# Requests of each phase, below which a run says nothing.
LEAST = {"coverage": 1000, "fuzzing": 200, "stateful": 60}
# The same for those who are not superusers.
LEAST_BESIDE = {"fuzzing": 150, "stateful": 30}
# Times that the stateful phase is begun at the most.
MOST_CHAINS = 10
# Operations that must have been done; a service account may do less than half of them.
LEAST_DONE = {"service-account": 15, "admin": 35, "superuser": 45}
# In the order of what they can destroy.
PRINCIPALS = ("service-account", "admin", "superuser")


def main():
    arguments = parse_arguments()
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    world = World(arguments.base_url, arguments.workdir)
    world.make()
    failed = [who for who in arguments.principals if not judge(arguments, who, world)]
    if failed:
        sys.exit(f"FAILED as {', '.join(failed)}: see above")
    print(f"schemathesis has no finding as {', '.join(arguments.principals)}")


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("base_url")
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--examples", type=int)
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as", dest="principals", action="append", choices=PRINCIPALS)
    arguments = parser.parse_args()
    arguments.principals = arguments.principals or list(PRINCIPALS)
    return arguments


def judge(arguments, who, world):
    """Whether schemathesis, signed in so, finds nothing, and has asked enough to say so."""
    began = time.monotonic()
    thorough = arguments.thorough or who == "superuser"
    wanted = LEAST if thorough else LEAST_BESIDE
    tally = Tally(world.description())
    # How requests are read, and what the description has of it, is the same for all.
    phases = "examples,coverage,fuzzing" if thorough else "fuzzing"
    good = run(arguments, who, world, tally, phases, arguments.seed)
    # A server remembers: a chain that is tried again goes on otherwise, and there schemathesis ends this phase
    # and calls it passed. So there are as many as it takes.
    for seed in range(arguments.seed, arguments.seed + MOST_CHAINS):
        if not good or tally.cases["stateful"] >= wanted["stateful"]:
            break
        good = run(arguments, who, world, tally, "stateful", seed)
    print(f"== as {who}: {time.monotonic() - began:.0f} s", flush=True)
    return tally.is_enough(wanted, LEAST_DONE[who]) and good


def run(arguments, who, world, tally, phases, seed):
    print(f"== as {who}: {phases}, seed {seed}", flush=True)
    report = arguments.workdir / f"{who}-{phases.replace(',', '-')}-{seed}.ndjson"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "run"]
    command += [f"{world.api}/openapi.json", "--url", arguments.base_url, "--phases", phases]
    command += ["--seed", str(seed), "--report", "ndjson", "--report-ndjson-path", report]
    if arguments.examples and phases != "stateful":
        command += ["--max-examples", str(arguments.examples)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SCHEMATHESIS_HOOKS": "api_hooks",
        "FASTPKI_JUDGE": json.dumps({"base_url": arguments.base_url, "who": who, **world.known}),
    }
    status = subprocess.run(command, env=environment, cwd=arguments.workdir, check=False).returncode
    tally.read(report)
    return status == 0


class Tally:
    """What was asked, and what was answered."""

    def __init__(self, description):
        self.operations = list(operations_of(description))
        self.cases, self.answers, self.done = Counter(), Counter(), set()

    def read(self, report):
        with report.open() as lines:
            for line in lines:
                self.add(json.loads(line).get("ScenarioFinished"))

    def add(self, scenario):
        for interaction in (scenario or {}).get("recorder", {}).get("interactions", {}).values():
            request, response = interaction["request"], interaction.get("response")
            if response:
                status = response["status_code"]
                self.cases[scenario["phase"]] += 1
                self.answers[status] += 1
                if status < 400:
                    self.done.add(self.operation(request))

    def operation(self, request):
        line = f"{request['method']} {urlsplit(request['uri']).path}"
        return next((name for name, pattern in self.operations if pattern.fullmatch(line)), None)

    def is_enough(self, wanted, least_done):
        """Tells it, and whether it is enough to say anything."""
        never = sorted({name for name, _ in self.operations} - self.done)
        done = len(self.operations) - len(never)
        print("requests:", ", ".join(f"{phase} {number}" for phase, number in self.cases.items()))
        print("answers:", ", ".join(f"{status} {number}" for status, number in sorted(self.answers.items())))
        print(f"{done} of {len(self.operations)} operations were done at least once")
        if never:
            print(f"never done: {', '.join(never)}")
        few = {phase: least for phase, least in wanted.items() if self.cases[phase] < least}
        short = [f"{phase} {self.cases[phase]}, not {least}" for phase, least in few.items()]
        if done < least_done:
            short.append(f"operations done {done}, not {least_done}")
        if short:
            print(f"FAILED: too little was asked: {'; '.join(short)}")
        return not short


def operations_of(description):
    """Each operation with what its requests look like, those without variables first."""
    for path, methods in sorted(description["paths"].items(), key=lambda item: (item[0].count("{"), -len(item[0]))):
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path))
        for method in methods:
            yield f"{method.upper()} {path}", re.compile(f"{method.upper()} {pattern}")


class World:
    """A small PKI of two organizations, so that requests find something."""

    def __init__(self, base_url, workdir):
        self.api = f"{base_url}/api/v1"
        self.workdir = workdir
        self.http = requests.Session()
        self.http.trust_env = False
        self.known = {"password": PASSWORD}

    def make(self):
        root = self.user("root", role="superuser")
        self.sign_in("root")
        here, there = (self.ask("organizations/", name=name)["id"] for name in ("Here", "There"))
        admin = self.user("admin", role="admin", organization_id=here)
        # Those who sign out, while the others stay signed in.
        leavers = [
            self.user("leaver", role="superuser"),
            self.user("leaving-admin", role="admin", organization_id=here),
        ]
        self.known["protected"] = [root, admin, *leavers]
        self.user("member", organization_id=here)
        self.user("stranger", organization_id=there)
        self.user("nobody")
        account = self.account("bot", here)
        idle = self.account("idle", here)
        for number in range(9):
            self.ask(f"service-accounts/{idle}/tokens", name=f"token {number}")
        self.known["account"] = idle
        self.known["service_account_token"] = self.ask(f"service-accounts/{account}/tokens", name="ci")["token"]
        of_root = self.authorities()
        self.sign_in("admin")
        of_admin = self.authorities()
        self.known["issuing"] = {"superuser": of_root, "admin": of_admin, "service-account": of_admin}

    def authorities(self):
        """Makes a root and an issuing CA with certificates, one of them revoked; the issuing CA's id."""
        key = {"key_type": "ec", "key_size": 256}
        root = self.ask("cas/", name="Root", subject_dn="CN=Root,O=Example", path_length=2, **key)["id"]
        below = {"parent_ca_id": root, "path_length": 0}
        issuing = self.ask("cas/", name="Issuing", subject_dn="CN=Issuing,O=Example", **below, **key)["id"]
        for kind in ("server", "client", "dual_purpose"):
            name = f"{kind.replace('_', '-')}.example.com"
            names = {"common_name": name, "subject_dn": f"CN={name},O=Example"}
            certificate = self.ask(f"certificates/?ca_id={issuing}", certificate_type=kind, **names, **key)
        self.ask(f"certificates/{certificate['id']}/revoke", reason="superseded")
        return issuing

    def description(self):
        return self.http.get(f"{self.api}/openapi.json", timeout=60).json()

    def user(self, name, **fields):
        email = f"{name}@example.com"
        return self.ask("users/", username=name, email=email, password=self.known["password"], **fields)["id"]

    def account(self, name, organization):
        flags = dict.fromkeys(FLAGS, True)
        account = self.ask("service-accounts/", name=name, organization_id=organization, **flags)["id"]
        rules = {
            "cn_patterns": ["*"],
            "san_dns_patterns": ["*"],
            "san_email_domains": ["example.com"],
            "san_ip_cidrs": ["0.0.0.0/0", "::/0"],
            "allowed_ca_ids": list(range(1, 100)),
            "allowed_certificate_types": ["server", "client", "dual_purpose", "ca"],
            "max_validity_days": 1000,
        }
        self.ask(f"service-accounts/{account}/policy", "PUT", **rules)
        return account

    def sign_in(self, name):
        form = {"username": name, "password": self.known["password"]}
        answer = self.http.post(f"{self.api}/auth/token", data=form, timeout=60)
        answer.raise_for_status()
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def ask(self, path, method="POST", **body):
        answer = self.http.request(method, f"{self.api}/{path}", json=body, timeout=60)
        if not answer.ok:
            sys.exit(f"FAILED: {method} {path} is answered {answer.status_code}: {answer.text}")
        return answer.json()


FLAGS = ("can_create_ca", "can_create_cert", "can_revoke_cert", "can_export_private_key", "can_delete_ca")

if __name__ == "__main__":
    main()
