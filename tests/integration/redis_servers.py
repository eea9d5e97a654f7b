"""Redis as companies run it: over TLS, behind sentinels, as a cluster. Real servers on free loopback
ports, with the short timeouts of a test: a failover takes a few seconds."""

import os
import subprocess

import harness

# A replica joins at once, not after 5 s.
QUICK_REPLICA = {"repl-diskless-sync-delay": "0"}


def certificates(area, name="localhost", ca="ca"):
    """The folder with CA.crt, and NAME.crt and NAME.key for a server or client of that name."""
    folder = area.file("tls")
    os.makedirs(folder, exist_ok=True)
    openssl = harness.need_program("openssl")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def run(*words):
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)
    if not os.path.exists(f"{folder}/{ca}.crt"):
        run("req", "-x509", *new_key, "-keyout", f"{ca}.key", "-out", f"{ca}.crt", "-days", "2",
            "-subj", f"/CN=test {ca}")
    if not os.path.exists(f"{folder}/{name}.crt"):
        names = area.write("tls/names", f"subjectAltName=DNS:{name}" +
                           (",IP:127.0.0.1" if name == "localhost" else ""))
        run("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key",
            "-CAcreateserial", "-days", "2", "-out", f"{name}.crt", "-extfile", names)
    return folder


class TlsRedis(harness.Redis):
    """A server that speaks TLS on tls_port, with the certificate of `name`; plainly on port."""

    def __init__(self, area, name="localhost", clients="no", **settings):
        folder = certificates(area, name)
        self.tls_port = harness.free_port()
        super().__init__(area, f"redis-{name}-{clients}", **{
            "tls-port": self.tls_port, "tls-auth-clients": clients,
            "tls-cert-file": f"{folder}/{name}.crt", "tls-key-file": f"{folder}/{name}.key",
            "tls-ca-cert-file": f"{folder}/ca.crt", **settings})

    @property
    def url(self):
        return f"rediss://localhost:{self.tls_port}"


class Sentinels:
    """A master, two replicas, and three sentinels that watch them. `command` asks the master."""

    def __init__(self, area, name="wal", **settings):
        self.name = name
        self.servers = []
        for number in range(3):
            follow = {"replicaof": f"127.0.0.1 {self.servers[0].port}"} if number else {}
            self.servers.append(harness.Redis(area, f"server-{number}",
                                              **QUICK_REPLICA, **follow, **settings))
        self.ports, self.processes = [], []
        for number in range(3):
            port = harness.free_port()
            # A sentinel writes what it learns into its configuration.
            path = area.write(f"sentinel-{number}.conf", "\n".join([
                f"port {port}", "bind 127.0.0.1", f"dir {area.path}",
                f"sentinel monitor {name} 127.0.0.1 {self.servers[0].port} 2",
                f"sentinel down-after-milliseconds {name} 1000",
                f"sentinel failover-timeout {name} 4000", f"sentinel parallel-syncs {name} 2", ""]))
            self.ports.append(port)
            self.processes.append(harness.Process(
                f"sentinel-{number}", [harness.need_program("redis-server"), path, "--sentinel"],
                area.file(f"sentinel-{number}.log")))

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"redis+sentinel://{hosts}/{self.name}"

    def start(self):
        for server in self.servers:
            server.start()
        harness.wait_until(lambda: int(self.servers[0].info("connected_slaves")) == 2,
                           "both replicas follow the master")
        for process in self.processes:
            process.start()

        def agreed():
            facts = [self.sentinel(port, "SENTINEL", "MASTER", self.name).split("\n")
                     for port in self.ports]
            return all("num-other-sentinels" in lines and
                       lines[lines.index("num-other-sentinels") + 1] == "2" and
                       lines[lines.index("num-slaves") + 1] == "2" for lines in facts)
        harness.wait_until(agreed, "the sentinels know each other and the replicas")
        return self

    def stop(self):
        for process in self.processes:
            process.kill()
        for server in self.servers:
            server.kill()

    def sentinel(self, port, *words):
        run = subprocess.run([harness.need_program("redis-cli"), "-p", str(port), "--raw", *words],
                             capture_output=True, timeout=harness.PATIENCE_S, text=True)
        return run.stdout

    def master(self):
        for port in self.ports:
            answer = self.sentinel(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name).split()
            for server in self.servers:
                if answer[1:] == [str(server.port)]:
                    return server
        raise AssertionError("no sentinel names a master")

    def replicas(self):
        master = self.master()
        return [server for server in self.servers if server is not master]

    def command(self, *words, **options):
        return self.master().command(*words, **options)


class Cluster:
    """Masters and as many replicas each; `command` reaches whichever serves the key."""

    def __init__(self, area, masters=3, replicas=1, **settings):
        self.replicas_each = replicas
        self.masters_at_first = masters
        self.nodes = [harness.Redis(area, f"node-{number}", **{
            "cluster-enabled": "yes", "cluster-node-timeout": "2000",
            "cluster-port": harness.free_port(), "cluster-config-file": "nodes.conf",
            **QUICK_REPLICA, **settings}) for number in range(masters * (1 + replicas))]

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:3])
        return f"redis+cluster://{hosts}"

    def start(self):
        for node in self.nodes:
            node.start()
        run = subprocess.run(
            [harness.need_program("redis-cli"), "--cluster", "create",
             *[f"127.0.0.1:{node.port}" for node in self.nodes], "--cluster-replicas",
             str(self.replicas_each), "--cluster-yes"],
            capture_output=True, timeout=harness.PATIENCE_S, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        self.wait_ok()
        harness.wait_until(lambda: all(int(node.info("connected_slaves")) == self.replicas_each
                                       for node in self.masters()), "each master has its replicas")
        return self

    def stop(self):
        for node in self.nodes:
            node.kill()

    def living(self):
        return [node for node in self.nodes if node.process.running()]

    def wait_ok(self):
        def agreed():
            views = {tuple(sorted(node.port for node in self.masters(of))) for of in self.living()}
            return len(views) == 1 and all(
                "cluster_state:ok" in node.command("CLUSTER", "INFO") for node in self.living())
        harness.wait_until(agreed, "the cluster is in order")

    def masters(self, asked=None):
        """As one node sees them: those that serve slots and are alive."""
        lines = (asked or self.living()[0]).command("CLUSTER", "NODES").splitlines()
        ports = {int(words[1].split("@")[0].split(":")[1]) for words in map(str.split, lines)
                 if "master" in words[2] and "fail" not in words[2] and len(words) > 8}
        return [node for node in self.nodes if node.port in ports]

    def slot(self, key):
        return int(self.living()[0].command("CLUSTER", "KEYSLOT", key))

    def owner(self, slot):
        for line in self.living()[0].command("CLUSTER", "NODES").splitlines():
            words = line.split()
            for span in words[8:]:
                first, _, last = span.partition("-")
                if first.isdigit() and int(first) <= slot <= int(last or first):
                    port = int(words[1].split("@")[0].split(":")[1])
                    return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody serves slot {slot}")

    def command(self, *words, check=True):
        if words[0] == "--scan":
            return "".join(node.command(*words) for node in self.masters())
        return self.living()[0].command("-c", *words, check=check)

    def begin_move(self, slot, target):
        """The slot is on its way to target, as `redis-cli --cluster reshard` would begin it: new
        keys and those that have moved are asked for there."""
        source = self.owner(slot)
        ids = {node: node.command("CLUSTER", "MYID").strip() for node in (source, target)}
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        return source, ids[target]

    def move_keys(self, slot, source, target, count=1000):
        keys = source.command("CLUSTER", "GETKEYSINSLOT", slot, count).split()
        if keys:
            source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 10000, "KEYS", *keys)
        return len(keys)

    def end_move(self, slot, source, target, target_id):
        while self.move_keys(slot, source, target):
            pass
        for node in (target, source, *self.masters()):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
