"""Installs what can be had of the peers: Debian packages, npm packages and a newer nats-server, the
last two below ./var. Says what it does; a failure is a sentence and leaves that peer out."""

import os
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "..", ".."))
NATS_SUITE = "trixie"  # the first Debian suite with JetStream's sync_interval: always
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"


def step(text, command, **more):
    print(f"install: {text}", flush=True)
    run = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if run.returncode != 0:
        print(f"install: {text} failed: {(run.stdout + run.stderr).strip()[-600:]}", flush=True)
    return run.returncode == 0


def install_debian(packages):
    """As ops/ does it: no packaged server may start by being installed."""
    script = f'set -euo pipefail; source "$0"; install_packages {" ".join(sorted(packages))}'
    step("Debian packages", ["bash", "-c", script, os.path.join(ROOT, "ops", "lib")])


def install_node(folder):
    os.makedirs(folder, exist_ok=True)
    shutil.copy(os.path.join(HERE, "package.json"), folder)
    step("npm packages", ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder])


def install_nats(folder):
    """Unpacks the package of a newer suite, a program without dependencies, without installing it."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder)) as work:
        os.makedirs(os.path.join(work, "lists", "partial"))
        sources = os.path.join(work, "sources.list")
        with open(sources, "w", encoding="ascii") as file:
            file.write(f"deb [signed-by={KEYRING}] {MIRROR} {NATS_SUITE} main\n")
        options = ["-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-",
                   "-o", f"Dir::State::lists={work}/lists", "-o", "Dir::Cache::pkgcache=",
                   "-o", "Dir::Cache::srcpkgcache=", "-o", "APT::Sandbox::User=root"]
        if not step(f"package list of {NATS_SUITE}", ["apt-get", *options, "-qq", "update"]):
            return
        if not step("nats-server", ["apt-get", *options, "-qq", "download", "nats-server"], cwd=work):
            return
        package = next(name for name in os.listdir(work) if name.endswith(".deb"))
        step("unpack nats-server", ["dpkg", "-x", os.path.join(work, package), folder])


def install(peers, tools):
    """`peers` are those asked for; only what they miss is installed."""
    os.makedirs(tools, exist_ok=True)
    packages = {package for peer in peers if peer.missing() for package in peer.absent_packages()}
    if packages:
        install_debian(packages)
    names = {peer.name for peer in peers}
    if names & {"node", "node-s3"} and not os.path.isdir(os.path.join(tools, "node", "node_modules")):
        install_node(os.path.join(tools, "node"))
    nats = [peer for peer in peers if peer.name == "nats"]
    if nats and not (nats[0].program() and nats[0].syncs()):
        install_nats(os.path.join(tools, "nats"))


