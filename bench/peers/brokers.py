"""Peers with a protocol and a store of their own: NATS JetStream and RabbitMQ."""

import os
import signal

import machine
import wire
from peer import Peer, find, first_version


class Nats(Peer):
    name = "nats"
    packages = ("nats-server",)
    programs = ("nats-server",)

    @property
    def means(self):
        return {**Peer.means, "fsynced": "yes" if self.syncs() else "no, every 2 minutes",
                "gives an id": "sequence", "validates": "size", "deduplicates": "2 minutes"}

    def program(self):
        newer = os.path.join(self.setup.tools, "nats", "usr", "sbin", "nats-server")
        older = newer.replace("sbin", "bin")
        return next((path for path in (newer, older) if os.path.exists(path)), find("nats-server"))

    def missing(self):
        return "" if self.program() else super().missing()

    def version(self):
        return first_version([self.program(), "--version"])

    def versions(self):
        return {"nats-server": self.version()}

    def syncs(self):
        return tuple(int(part) for part in self.version().split(".")[:2]) >= (2, 10)

    def start(self, folder):
        self.folder = folder
        self.port = machine.free_port()
        config = self.render("nats.conf" if self.syncs() else "nats-2.9.conf", PORT=self.port)
        self.spawn("nats", [self.program(), "-c", config], self.port)
        connection = wire.Nats(self.port, "setup")
        connection.make_stream()
        connection.close()

    def load(self, seconds):
        return self.socket_load("nats", self.port, seconds)

    def stored(self):
        """The stream's own count of bytes holds subjects and headers, too: not less than ours."""
        records, size = wire.Nats(self.port, "check").stored()
        if size < self.acknowledged[1]:
            raise machine.Failed(f"JetStream acknowledged {self.acknowledged[1]} bytes and holds {size}")
        return records, None


class RabbitMq(Peer):
    name = "rabbitmq"
    packages = ("rabbitmq-server",)
    programs = ("rabbitmq-server", "epmd")
    script = "/usr/lib/rabbitmq/bin/rabbitmq-server"
    means = {**Peer.means, "fsynced": "yes", "validates": "size"}

    def missing(self):
        if not os.path.exists(self.script):
            return f"RabbitMQ: apt-get install --no-install-recommends {' '.join(self.packages)}"
        return super().missing()

    def start(self, folder):
        self.folder = folder
        self.port = machine.free_port()
        names = machine.free_port()
        # The node finds its port mapper already there; otherwise it would leave one behind.
        self.spawn("epmd", [find("epmd"), "-port", str(names), "-address", "127.0.0.1"], names)
        config = self.render("rabbitmq.conf", PORT=self.port)
        plugins = os.path.join(folder, "plugins")
        with open(plugins, "w", encoding="ascii") as file:
            file.write("[].\n")
        environment = {
            "HOME": folder, "NODENAME": "bench@localhost", "NODE_IP_ADDRESS": "127.0.0.1",
            "NODE_PORT": str(self.port), "DIST_PORT": str(machine.free_port()), "BASE": folder,
            "MNESIA_BASE": os.path.join(folder, "data"), "LOG_BASE": os.path.join(folder, "log"),
            "PID_FILE": os.path.join(folder, "pid"), "CONFIG_FILE": config,
            "ENABLED_PLUGINS_FILE": plugins,
            "SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"}
        self.spawn("rabbitmq", [self.script], self.port, machine.clean_environment(
            HOME=folder, ERL_EPMD_PORT=str(names), ERL_EPMD_ADDRESS="127.0.0.1",
            **{f"RABBITMQ_{name}": value for name, value in environment.items() if name != "HOME"}))
        connection = wire.Amqp(self.port, "setup")
        connection.make_queue()
        connection.close()

    def load(self, seconds):
        return self.socket_load("amqp", self.port, seconds)

    def stored(self):
        connection = wire.Amqp(self.port, "check")
        # The queue counts what its state machine has applied, which trails the confirms a little.
        machine.wait_until(lambda: connection.stored()[0] >= self.acknowledged[0],
                           f"the queue holds {self.acknowledged[0]} messages", 20)
        return connection.stored()

    def stop(self):
        try:
            with open(os.path.join(self.folder, "pid"), encoding="ascii") as file:
                pid = int(file.read())
            if pid in machine.descendants(self.roots()):
                os.kill(pid, signal.SIGKILL)  # its data goes away with it; no need to be gentle
        except (OSError, ValueError):
            pass
        super().stop()
