"""Redis over TLS, by user and password, by number of database: what works, and what each thing that
can be wrong is called, at start and by `daybook doctor`."""

import os
import subprocess

import client
import harness
import redis_servers


class TlsTest(harness.DaybookTest):
    @classmethod
    def setUpClass(cls):
        cls.area = harness.Area("tls")
        cls.addClassCleanup(cls.area.remove)
        cls.folder = redis_servers.certificates(cls.area, "client")
        redis_servers.certificates(cls.area, "stranger", ca="strange")

    def server(self, *words, **settings):
        redis = redis_servers.TlsRedis(self.area, *words, **settings)
        self.addCleanup(redis.kill)
        return redis.start()

    def settings_for(self, redis, **settings):
        return {"buffer.url": redis.url, "buffer.tls_ca_file": f"{self.folder}/ca.crt",
                **{key.replace("__", "."): value for key, value in settings.items()}}

    def serve(self, settings, environment=None, ready=True):
        daybook = harness.Daybook(self.area, None, settings, environment=environment,
                                  name=f"daybook-{len(self.id())}-{os.urandom(3).hex()}")
        self.addCleanup(daybook.kill)
        return daybook.start(wait_ready=ready)

    def doctor(self, settings, environment=None):
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        run = subprocess.run(
            [harness.binary(), "doctor", "--set", f"node.data_dir={self.area.file('doctor')}",
             *words], capture_output=True, text=True, timeout=harness.PATIENCE_S,
            env={**harness.clean_environment(), **(environment or {})})
        return run.stdout + run.stderr

    def assert_named(self, settings, *words, environment=None):
        """Found by /readyz of a server that cannot start its work, and by doctor."""
        daybook = self.serve(settings, environment, ready=False)

        def found():
            checks = {check["name"]: check for check in daybook.readiness()[1].get("checks", [])}
            return words[0].lower() in checks.get("buffer", {}).get("detail", "").lower()
        harness.wait_until(found, f"/readyz says {words[0]}: {daybook.readiness()}")
        detail = daybook.wait_check("buffer", ok=False)["detail"]
        text = self.doctor(settings, environment)
        for word in words:
            self.assertIn(word.lower(), detail.lower())
            self.assertIn(word.lower(), text.lower())
        for secret in (environment or {}).values():
            self.assertNotIn(secret, detail + text + daybook.process.log().decode())
        self.assertIn("FAIL", text)
        daybook.kill()


class Tls(TlsTest):
    def test_records_go_over_tls_with_a_client_certificate(self):
        redis = self.server("localhost", "yes")
        settings = self.settings_for(redis, buffer__tls_cert_file=f"{self.folder}/client.crt",
                                     buffer__tls_key_file=f"{self.folder}/client.key")
        daybook = self.serve(settings)
        payload = os.urandom(3 << 20)
        receipt = client.post(daybook.port, payload).json()
        self.assertEqual(receipt["durability"], "fsync")
        self.wait_state(receipt["id"], port=daybook.port)
        self.assertIn("over TLS", self.doctor(settings))
        del settings["buffer.tls_cert_file"], settings["buffer.tls_key_file"]
        self.assert_named(settings, "buffer.tls_cert_file")

    def test_a_certificate_of_an_unknown_authority_is_refused(self):
        settings = self.settings_for(self.server())
        self.assert_named({**settings, "buffer.tls_ca_file": f"{self.folder}/strange.crt"},
                          "authority", "buffer.tls_ca_file")
        self.assert_named({**settings, "buffer.tls_ca_file": f"{self.folder}/none.crt"},
                          "cannot read certificates")
        # Without verification anything goes, and doctor says what that means.
        settings = {**settings, "buffer.tls_ca_file": f"{self.folder}/strange.crt",
                    "buffer.tls_verify": "false"}
        self.assertEqual(client.post(self.serve(settings).port, b"trusting").status, 201)
        self.assertIn("not verified", self.doctor(settings))

    def test_a_certificate_for_another_name_is_refused(self):
        redis = self.server("redis.internal")
        self.assert_named(self.settings_for(redis), "not for the name localhost", "tls_server_name")
        daybook = self.serve(self.settings_for(redis, buffer__tls_server_name="redis.internal"))
        self.assertEqual(client.post(daybook.port, b"expected under its name").status, 201)

    def test_tls_and_no_tls_are_told_apart(self):
        redis = self.server()
        self.assert_named({"buffer.url": f"redis://127.0.0.1:{redis.tls_port}"}, "rediss")
        self.assert_named({"buffer.url": f"rediss://127.0.0.1:{redis.port}",
                           "buffer.tls_ca_file": f"{self.folder}/ca.crt"}, "speak TLS on this port")


class Access(TlsTest):
    RULES = ("+@read +@write +@stream +@scripting +@connection +@transaction +wait +info "
             "+config|get")

    def user(self, redis, name, rules):
        redis.command("ACL", "SETUSER", name, "reset", "on", ">opensesame", *rules.split())

    def with_password(self, redis, user, url=None):
        return ({"buffer.url": url or f"redis://127.0.0.1:{redis.port}", "buffer.username": user,
                 "buffer.prefix": "audit"}, {"DAYBOOK_BUFFER_PASSWORD": "opensesame"})

    def test_a_user_with_the_documented_permissions_is_enough(self):
        redis = self.server()
        self.user(redis, "ingest", "~{audit:* ~audit:* " + self.RULES)
        settings, _ = self.with_password(redis, "ingest", f"unix:{redis.unix_socket}")
        settings["buffer.password_file"] = self.area.write("password", "opensesame\n")
        settings["buffer.durability"] = "memory"
        os.chmod(self.area.file("password"), 0o600)
        config = self.area.write("daybook.toml", "[buffer]\npassword_file = \"%s\"\n" %
                                 settings.pop("buffer.password_file"))
        daybook = harness.Daybook(self.area, None, settings, name="by-file")
        command = daybook.command() + ["--config", config]
        daybook.command = lambda: command
        self.addCleanup(daybook.kill)
        daybook.start()
        receipt = client.post(daybook.port, b"by a user of few rights",
                              {"Idempotency-Key": "acl"}).json()
        self.wait_state(receipt["id"], port=daybook.port)
        self.assertIn("1", redis.command("EXISTS", "audit:partitions"))
        daybook.stop()

    def test_a_wrong_password_and_missing_permissions_are_named(self):
        redis = self.server()
        self.user(redis, "ingest", "~* " + self.RULES + " -xautoclaim -hincrby")
        settings, environment = self.with_password(redis, "ingest")
        self.assert_named(settings, "xautoclaim", "hincrby", "ACL SETUSER",
                          environment=environment)
        self.user(redis, "ingest", "~other:* " + self.RULES)
        self.assert_named(settings, "permissions to access one of the keys", "ACL SETUSER",
                          environment=environment)
        self.user(redis, "ingest", "~* " + self.RULES + " -config")
        self.assert_named(settings, "+config|get", environment=environment)
        self.assert_named(settings, "WRONGPASS", "buffer.password",
                          environment={"DAYBOOK_BUFFER_PASSWORD": "open-barley"})

    def test_a_database_of_its_own(self):
        redis = self.server()
        daybook = self.serve({"buffer.url": f"redis://127.0.0.1:{redis.port}/3"})
        self.assertEqual(client.post(daybook.port, b"elsewhere").status, 201)
        self.assertEqual(redis.command("-n", 3, "EXISTS", "daybook:partitions").strip(), "1")
        self.assertEqual(redis.command("EXISTS", "daybook:partitions").strip(), "0")
        self.assert_named({"buffer.url": f"redis://127.0.0.1:{redis.port}/99"}, "database number")


if __name__ == "__main__":
    harness.main()
