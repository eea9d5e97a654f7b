"""The files of ops/ that others run: what they name must exist, their sizes must be what `daybook
size` says, and the proxy must let in who has a certificate and nobody else."""

import glob
import json
import os
import re
import subprocess
import tomllib
import unittest

import client
import harness

try:
    import yaml
except ImportError:
    yaml = None

OPS = os.path.join(harness.SOURCE_DIR, "ops")
SIZED_BY = re.compile(r"^# sized by: daybook (size .*)$", re.MULTILINE)


def text_of(*parts):
    with open(os.path.join(OPS, *parts), encoding="utf-8") as file:
        return file.read()


def secret_file(area, name):
    """Readable for its owner only, or Daybook refuses it."""
    path = area.write(name, "word")
    os.chmod(path, 0o600)
    return path


def run_daybook(*words, environment=None):
    return subprocess.run([harness.binary(), *words], capture_output=True, timeout=60, text=True,
                          stdin=subprocess.DEVNULL,
                          env={**harness.clean_environment(), **(environment or {})})


def size_bytes(text):
    """8g, 6912mb, 1536m, 64Gi, 1280MiB: all powers of 1024."""
    number, unit = re.fullmatch(r"(\d+)([kmg])i?b?", text.lower()).groups()
    return int(number) << {"k": 10, "m": 20, "g": 30}[unit]


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def redis_settings(text):
    lines = (line.split(None, 1) for line in text.splitlines() if line and line[0] not in "#")
    return {name: value.strip() for name, value in lines}


class Sizes(unittest.TestCase):

    def plan(self, text):
        command = SIZED_BY.search(text)
        self.assertIsNotNone(command, text[:200])
        run = run_daybook(*command[1].split(), "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def assert_planned(self, toml, redis):
        """Each setting of the plan is in the file, or is the default."""
        plan = self.plan(toml)
        self.assertEqual(SIZED_BY.search(toml)[1], SIZED_BY.search(redis)[1])
        written = {f"{section}.{name}": str(value)
                   for section, names in tomllib.loads(toml).items()
                   for name, value in names.items()}
        defaults = json.loads(run_daybook("config", "--json").stdout)
        for name, value in plan["daybook_settings"].items():
            self.assertEqual(written.get(name, defaults[name]["value"]), value, name)
        in_redis = redis_settings(redis)
        for name, value in plan["redis_settings"].items():
            self.assertEqual(in_redis.get(name), value, name)
        return plan, written

    @unittest.skipUnless(yaml, "python3-yaml is not installed")
    def test_compose_has_room_for_its_plan(self):
        plan, settings = self.assert_planned(text_of("container", "daybook.toml"),
                                             text_of("container", "redis.conf"))
        services = yaml.safe_load(text_of("compose.yml"))["services"]
        daybook, redis = services["daybook"], services["redis"]
        self.assertGreater(size_bytes(daybook["mem_limit"]),
                           size_bytes(settings["node.memory_max"]))
        self.assertGreaterEqual(size_bytes(redis["mem_limit"]), plan["redis"]["host_memory_bytes"])
        self.assertGreater(seconds(daybook["stop_grace_period"]),
                           seconds(settings["server.drain_timeout"]))

    @unittest.skipUnless(yaml, "python3-yaml is not installed")
    def test_kubernetes_has_room_for_its_plan(self):
        objects = Kubernetes.objects()
        plan, settings = self.assert_planned(
            objects["ConfigMap", "daybook"]["data"]["daybook.toml"],
            objects["ConfigMap", "daybook-redis"]["data"]["redis.conf"])
        rooms = {}
        for name in ("daybook", "daybook-redis"):
            spec = objects["StatefulSet", name]["spec"]
            rooms[name] = [
                size_bytes(spec["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]),
                size_bytes(spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"])]
        self.assertGreater(rooms["daybook"][0], size_bytes(settings["node.memory_max"]))
        self.assertGreaterEqual(rooms["daybook"][1], plan["node"]["disk_bytes"])
        self.assertGreaterEqual(rooms["daybook-redis"][0], plan["redis"]["host_memory_bytes"])
        self.assertGreaterEqual(rooms["daybook-redis"][1], plan["redis"]["disk_bytes"])
        pod = objects["StatefulSet", "daybook"]["spec"]["template"]["spec"]
        stop = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
        self.assertGreater(pod["terminationGracePeriodSeconds"],
                           stop + seconds(settings["server.drain_timeout"]))

    def test_the_note_s_examples_are_what_the_command_says(self):
        examples = re.findall(r"```\n\$ daybook (size .*)\n([^`]*)```", text_of("sizing.md"))
        self.assertGreaterEqual(len(examples), 3)
        for command, wanted in examples:
            run = run_daybook(*command.split())
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual(run.stdout.split("\ndaybook.toml\n")[0].strip(), wanted.strip(), command)

    def test_the_note_s_constants_are_the_command_s(self):
        header = os.path.join(harness.SOURCE_DIR, "api", "size_constants.hpp")
        with open(header, encoding="utf-8") as file:
            ours = dict(re.findall(r"double (k\w+) = ([\d.e+-]+);", file.read()))
        rows = re.findall(r"^\| .* \| ([\d.e+-]+) \| `(k\w+)` \|", text_of("sizing.md"), re.MULTILINE)
        self.assertEqual({name: float(value) for value, name in rows},
                         {name: float(value) for name, value in ours.items()})


@unittest.skipUnless(yaml, "python3-yaml is not installed")
class Kubernetes(unittest.TestCase):

    @staticmethod
    def objects():
        found = {}
        for path in glob.glob(os.path.join(OPS, "kubernetes", "*.yaml")):
            with open(path, encoding="utf-8") as file:
                for document in yaml.safe_load_all(file):
                    name = document.get("metadata", {}).get("name", "")
                    assert (document["kind"], name) not in found, f"{path}: {name} twice"
                    found[document["kind"], name] = document
        return found

    def test_what_is_mounted_and_referred_to_is_there(self):
        objects = self.objects()
        listed = objects["Kustomization", ""]["resources"]
        for name in listed:
            self.assertTrue(os.path.isfile(os.path.join(OPS, "kubernetes", name)), name)
        self.assertNotIn("secrets.example.yaml", listed)
        for (kind, name), found in objects.items():
            if kind != "StatefulSet":
                continue
            pod = found["spec"]["template"]
            labels = pod["metadata"]["labels"]
            self.assertEqual(found["spec"]["selector"]["matchLabels"], labels)
            volumes = {claim["metadata"]["name"] for claim in found["spec"]["volumeClaimTemplates"]}
            for volume in pod["spec"]["volumes"]:
                volumes.add(volume["name"])
                source = (("ConfigMap", volume["configMap"]["name"]) if "configMap" in volume
                          else ("Secret", volume["secret"]["secretName"]))
                self.assertIn(source, objects)
            containers = pod["spec"]["containers"] + pod["spec"].get("initContainers", [])
            for container in containers:
                self.assertLessEqual({mount["name"] for mount in container["volumeMounts"]}, volumes)
                self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
                self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]})
            ports = {port["name"] for one in containers for port in one.get("ports", [])}
            numbers = {port["containerPort"] for one in containers for port in one.get("ports", [])}
            service = objects["Service", name]["spec"]
            self.assertEqual(service["selector"], labels)
            for port in service["ports"]:
                self.assertIn(port.get("targetPort", port["name"]), ports)
            for container in containers:
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    if "httpGet" in container.get(probe, {}):
                        self.assertIn(container[probe]["httpGet"]["port"], numbers)
            self.assertEqual(objects["NetworkPolicy", name]["spec"]["podSelector"]["matchLabels"],
                             labels)
        self.assertEqual(objects["PodDisruptionBudget", "daybook"]["spec"]["selector"],
                         objects["StatefulSet", "daybook"]["spec"]["selector"])

    def test_the_settings_are_the_server_s(self):
        area = harness.Area("kubernetes")
        objects = self.objects()
        path = area.write("daybook.toml", objects["ConfigMap", "daybook"]["data"]["daybook.toml"])
        container = objects["StatefulSet", "daybook"]["spec"]["template"]["spec"]["containers"][0]
        secret = objects["Secret", "daybook-s3"]["stringData"]
        environment = {}
        for entry in container["env"]:
            self.assertIn(os.path.basename(entry["value"]), secret)
            environment[entry["name"]] = secret_file(
                area, os.path.basename(entry["value"]))
        run = run_daybook("config", "--check", "--config", path, environment=environment)
        self.assertEqual((run.returncode, run.stderr), (0, ""), run.stdout)
        self.assertEqual(container["args"][0], "serve")

    def test_the_proxy_is_the_one_of_the_containers(self):
        self.assertEqual(self.objects()["ConfigMap", "daybook-proxy"]["data"]["haproxy.cfg"],
                         text_of("container", "haproxy.cfg"))


class Containers(unittest.TestCase):

    def test_the_container_file_copies_what_is_there(self):
        text = text_of("container", "Containerfile")
        copies = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        self.assertGreater(len(copies), 4)
        for source in " ".join(copies).split():
            self.assertTrue(os.path.exists(os.path.join(harness.SOURCE_DIR, source)), source)
        check = json.loads(re.search(r"CMD (\[.*status.*\])$", text, re.MULTILINE)[1])
        nobody = ["--url", f"http://127.0.0.1:{harness.free_port()}"]
        self.assertEqual(run_daybook(*check[1:], *nobody).returncode, 1)
        for package in re.findall(r"\$\{(\w+_PACKAGES)\[", text):
            self.assertRegex(text_of("lib"), rf"(?m)^{package}=\(")

    def test_the_image_has_every_library(self):
        """Those that the program itself names; theirs come with their packages."""
        elf = subprocess.run([harness.need_program("llvm-readelf-19"), "-d", harness.binary()],
                             capture_output=True, check=True, text=True, timeout=60).stdout
        needed = set(re.findall(r"Shared library: \[(.+?)\]", elf))
        self.assertGreater(len(needed), 5)
        found = dict(re.findall(r"^\s*(\S+) => (\S+)", subprocess.run(
            ["ldd", harness.binary()], capture_output=True, text=True, timeout=60).stdout, re.MULTILINE))
        listed = re.search(r"^IMAGE_PACKAGES=\(([^)]*)\)", text_of("lib"), re.MULTILINE)[1].split()
        dpkg = harness.need_program("dpkg")
        for library in needed & found.keys():
            file = os.path.realpath(found[library])
            # Some packages still say /lib for what is in /usr/lib.
            owner = subprocess.run([dpkg, "-S", file, file.removeprefix("/usr")], capture_output=True,
                                   text=True, timeout=60).stdout.split(":")[0]
            self.assertIn(owner, [*listed, "libc6", "libgcc-s1", "libstdc++6"], library)

    @unittest.skipUnless(yaml, "python3-yaml is not installed")
    def test_compose_names_what_is_there(self):
        area = harness.Area("compose")
        compose = yaml.safe_load(text_of("compose.yml"))
        override = yaml.safe_load(text_of("compose.s3.yml"))
        for service in compose["services"].values():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("./secrets/"):
                    continue  # the operator's; ops/container/certificates makes some to try with
                found = (os.path.isfile(os.path.join(OPS, source)) if source.startswith(".")
                         else source in compose["volumes"])
                self.assertTrue(found, volume)
            self.assertLessEqual(set(service.get("networks", [])), set(compose["networks"]))
        build = compose["services"]["daybook"]["build"]
        self.assertTrue(os.path.isfile(os.path.join(OPS, build["context"], build["dockerfile"])))
        environment = dict(override["services"]["daybook"]["environment"])
        for name, value in environment.items():
            if name.endswith("_FILE"):
                self.assertIn(os.path.basename(value), override["secrets"])
                environment[name] = secret_file(area, os.path.basename(value))
            elif name.endswith("ENDPOINT"):
                environment[name] = "https://s3.example.com"
            elif value.startswith("${"):
                environment[name] = "word"
        for more in ({}, environment):
            run = run_daybook("config", "--check", "--config",
                              os.path.join(OPS, "container", "daybook.toml"), environment=more)
            self.assertEqual((run.returncode, run.stderr), (0, ""), run.stdout)

    def test_prometheus_takes_its_configuration(self):
        area = harness.Area("prometheus")
        path = area.write("prometheus.yml", text_of("container", "prometheus.yml"))
        area.write("alerts.yml", text_of("prometheus", "alerts.yml"))
        run = subprocess.run([harness.need_program("promtool"), "check", "config", path],
                             capture_output=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


class Proxy(unittest.TestCase):
    """The compose set-up without containers: its Redis, its Daybook and its proxy on free ports."""

    @classmethod
    def setUpClass(cls):
        cls.haproxy = harness.need_program("haproxy")
        harness.need_program("openssl")
        cls.area = harness.Area("proxy")
        cls.addClassCleanup(cls.area.remove)
        cls.secrets = cls.area.file("secrets")
        subprocess.run([os.path.join(OPS, "container", "certificates"), cls.secrets], check=True,
                       timeout=60)
        cls.redis = harness.Redis(cls.area)
        config = cls.area.write("redis.conf", text_of("container", "redis.conf")
                                .replace("dir /data", f"dir {cls.redis.data}")
                                .replace("bind 0.0.0.0", f"bind 127.0.0.1\nport {cls.redis.port}"))
        cls.redis.process.command = [cls.redis.process.command[0], config]
        cls.addClassCleanup(cls.redis.stop)
        cls.redis.start()
        cls.daybook = harness.Daybook(cls.area, cls.redis)
        command = cls.daybook.command()
        command[2:2] = ["--config", os.path.join(OPS, "container", "daybook.toml")]
        cls.daybook.command = lambda: command
        cls.addClassCleanup(cls.daybook.stop)
        cls.daybook.start()
        cls.records, cls.health = harness.free_port(), harness.free_port()
        text = text_of("container", "haproxy.cfg")
        for theirs, ours in ((":8443", f"127.0.0.1:{cls.records}"),
                             (":7081", f"127.0.0.1:{cls.health}"),
                             ("127.0.0.1:7080", f"127.0.0.1:{cls.daybook.port}"),
                             ("/etc/daybook/tls", cls.secrets), ("maxconn 10000", "maxconn 1000")):
            assert theirs in text, theirs
            text = text.replace(theirs, ours)
        cls.proxy = harness.Process("haproxy", [cls.haproxy, "-db", "-f",
                                                cls.area.write("haproxy.cfg", text)],
                                    cls.area.file("haproxy.log"))
        cls.addClassCleanup(cls.proxy.kill)
        cls.proxy.start()

        def answers():
            assert cls.proxy.running(), cls.proxy.log_tail()
            try:
                return client.request(cls.health, "GET", "/readyz").status == 200
            except (OSError, client.BrokenAnswer):
                return False
        harness.wait_until(answers, "the proxy passes /readyz on")

    def curl(self, *words):
        return client.curl("--cacert", os.path.join(self.secrets, "clients-ca.pem"), *words,
                           f"https://localhost:{self.records}/v1/records")

    def test_a_client_with_a_certificate_posts_eight_mebibytes(self):
        payload = self.area.write("payload", harness.seeded("proxy").randbytes(8 << 20))
        answer = self.curl("--cert", os.path.join(self.secrets, "client.pem"), "--data-binary",
                           f"@{payload}", "-H", "Content-Type: application/octet-stream")
        self.assertEqual(answer.status, 201, answer.describe())
        self.assertEqual(answer.json()["durability"], "fsync")

    def test_nobody_else_gets_in(self):
        with self.assertRaises(client.BrokenAnswer):
            self.curl()
        other = self.area.file("other")
        subprocess.run([os.path.join(OPS, "container", "certificates"), other], check=True)
        with self.assertRaises(client.BrokenAnswer):
            self.curl("--cert", os.path.join(other, "client.pem"))

    def test_the_health_port_has_three_pages(self):
        for path in ("/livez", "/readyz", "/metrics"):
            self.assertEqual(client.request(self.health, "GET", path).status, 200, path)
        for method, path, status in (
                ("GET", "/v1/records", 404), ("POST", "/v1/records", 404), ("GET", "/v1/status", 404),
                ("GET", "/metrics/../v1/records", 404), ("POST", "/metrics", 405),
                ("GET", "//v1/records", 404)):
            self.assertEqual(client.request(self.health, method, path).status, status, path)


if __name__ == "__main__":
    harness.main()
