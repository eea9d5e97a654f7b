"""The metadata store in PostgreSQL: indexed and read back by psql; the server killed under load, a
COMMIT whose answer is lost, a start without it; schemas that are not ours; what doctor says; rows
moved from SQLite while records come in. Skipped where PostgreSQL is not installed."""

import json
import subprocess
import threading
import time
import unittest

import checker
import client
import dynamodb
import harness
import payloads
import postgresql

SECRET = "DAYBOOK_METADATA_POSTGRESQL_PASSWORD"


def settings_of(server, **changed):
    return {"metadata.kind": "postgresql", "metadata.postgresql_url": server.url(**changed)}


def tool(server, *words, settings=None, password=None, environment=None):
    """A daybook command on the stores."""
    given = [f"--set={key}={value}" for key, value in (settings or settings_of(server)).items()]
    return subprocess.run(
        [harness.binary(), *words, *given], capture_output=True, text=True,
        timeout=harness.PATIENCE_S,
        env={**harness.clean_environment(), SECRET: password or server.password,
             **(environment or {})})


class Load:
    """Posts small records from two threads until it is stopped; every answer must be a 201."""

    def __init__(self, port):
        self.port, self.ids, self.wrong, self.going = port, {}, [], True
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(2)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        random = harness.seeded(f"load{number}")
        while self.going:
            payload = payloads.any_payload(random, 1, 2000)
            try:
                answer = client.post(self.port, payload)
            except (OSError, client.BrokenAnswer) as error:
                self.wrong.append(repr(error))
                continue
            if answer.status == 201:
                receipt = answer.json()
                self.ids[receipt["id"]] = [receipt["sha256"], str(len(payload))]
            else:
                self.wrong.append(answer.describe())
            time.sleep(0.005)

    def wait_for(self, more):
        goal = len(self.ids) + more
        harness.wait_until(lambda: len(self.ids) >= goal, f"{goal} records are acknowledged")

    def stop(self):
        self.going = False
        for thread in self.threads:
            thread.join()


class Postgresql(unittest.TestCase):
    """One PostgreSQL and one Redis for all cases."""

    @classmethod
    def setUpClass(cls):
        cls.area = harness.Area(cls.__name__)
        cls.addClassCleanup(cls.area.remove)
        cls.server = postgresql.Postgresql(cls.area)
        cls.addClassCleanup(cls.server.stop)
        cls.server.start()
        cls.redis = harness.Redis(cls.area)
        cls.addClassCleanup(cls.redis.stop)
        cls.redis.start()
        cls.schemas = 0

    def schema(self, migrated=True):
        """The name of one of its own."""
        type(self).schemas += 1
        name = f"case{self.schemas}"
        self.server.psql(f"CREATE SCHEMA {name}")
        if migrated:
            run = tool(self.server, "metadata", "migrate",
                       settings=settings_of(self.server, schema=name))
            self.assertEqual(run.returncode, 0, run.stderr)
        return name

    def daybook(self, settings, name):
        made = harness.Daybook(self.area, self.redis, {"buffer.prefix": name, **settings},
                               name=name, environment={SECRET: self.server.password})
        self.addCleanup(made.stop)
        return made

    def assert_no_secret(self, daybook):
        self.assertNotIn(self.server.password.encode(), daybook.process.log())

    def indexed(self, ids, schema):
        def all_there():
            found = self.server.rows("sha256, size", schema)
            return found if set(ids) <= set(found) else None
        found = harness.wait_until(all_there, "every acknowledged record is indexed", 120, 0.3)
        self.assertEqual(found, ids)

    def test_records_are_indexed_and_psql_reads_them_back(self):
        schema = self.schema()
        daybook = self.daybook(settings_of(self.server, schema=schema), "plain").start()
        posted = {}
        for number in range(5):
            payload = payloads.any_payload(harness.seeded(f"pg{number}"), 1, 300_000)
            answer = client.post(daybook.port, payload, {
                "ce-source": "urn:it's", "ce-type": f"audit.{number % 2}",
                "ce-subject": "%C3%BC/%E2%82%AC", "ce-id": str(number),
                "ce-time": "2026-01-02T03:04:05.678901Z", "ce-zone": "eu"})
            self.assertEqual(answer.status, 201, answer.describe())
            receipt = answer.json()
            posted[receipt["id"]] = [receipt["sha256"], str(len(payload))]
        self.indexed(posted, schema)
        facts = self.server.rows(
            "source, type, subject, event_time AT TIME ZONE 'UTC', state, attributes::json->>'zone'",
            schema)
        for row in facts.values():
            self.assertEqual(row[0], "urn:it's")
            self.assertEqual(row[2:], ["ü/€", "2026-01-02 03:04:05.678901", "indexed", "eu"])
        listed = client.request(daybook.port, "GET", "/v1/records?type=audit.1&limit=10").json()
        self.assertEqual({row["id"] for row in listed["records"]},
                         {key for key, row in facts.items() if row[1] == "audit.1"})
        status = client.request(daybook.port, "GET", "/v1/status").json()
        self.assertIn("postgresql:daybook@127.0.0.1", status["stores"]["metadata"])
        settings = {**settings_of(self.server, schema=schema),
                    "node.data_dir": daybook.data_dir, "buffer.url": self.redis.url,
                    "buffer.prefix": "plain"}
        checker.wait_drained(self.redis, prefix="plain")
        run = tool(self.server, "fsck", "--deep", settings=settings)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        rebuilt = self.schema()
        run = tool(self.server, "rebuild-index", settings={
            **settings, **settings_of(self.server, schema=rebuilt)})
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(self.server.rows("sha256, size", rebuilt), posted)
        self.assert_no_secret(daybook)

    def test_a_server_killed_under_load_loses_no_row(self):
        schema = self.schema()
        daybook = self.daybook(settings_of(self.server, schema=schema), "killed").start()
        load = Load(daybook.port)
        try:
            load.wait_for(60)
            self.server.kill()
            daybook.wait_check("metadata", False)
            load.wait_for(60)  # records are taken all the same
            self.server.start()
            load.wait_for(30)
        finally:
            load.stop()
        self.assertEqual(load.wrong, [])
        daybook.wait_check("metadata", True)
        self.indexed(load.ids, schema)
        checker.wait_drained(self.redis, prefix="killed")
        self.assert_no_secret(daybook)

    def test_a_commit_whose_answer_is_lost_is_done_once(self):
        schema = self.schema()
        proxy = postgresql.Proxy(self.server.port)
        self.addCleanup(proxy.close)
        daybook = self.daybook(
            settings_of(self.server, schema=schema, port=proxy.port, options="&sslmode=disable"), "lost").start()
        posted = {}
        for number in range(3):
            proxy.lose_commit = True
            receipt = client.post(daybook.port, b"record %d" % number).json()
            posted[receipt["id"]] = [receipt["sha256"], str(receipt["size"])]
            harness.wait_until(lambda: client.request(
                daybook.port, "GET", f"/v1/records/{receipt['id']}").json()["state"] == "indexed",
                "the record is indexed")
        self.assertEqual(proxy.lost, 3)
        self.assertEqual(self.server.rows("sha256, size", schema), posted)
        self.assertNotIn(b"indexed before with other content", daybook.process.log())

    def test_a_start_without_the_server_takes_records_and_asks_once_a_second(self):
        schema = self.schema()
        proxy = postgresql.Proxy(None)
        self.addCleanup(proxy.close)
        daybook = self.daybook({**settings_of(self.server, schema=schema, port=proxy.port, options="&sslmode=disable"),
                                "pipeline.retry_first": "10ms", "pipeline.retry_max": "20ms",
                                "pipeline.attempts_max": "1000"}, "absent").start()
        load = Load(daybook.port)
        try:
            before, began = proxy.connections, time.monotonic()
            load.wait_for(100)
            time.sleep(3)
            seconds = time.monotonic() - began
            self.assertLessEqual(proxy.connections - before, seconds + 2)
        finally:
            load.stop()
        check = daybook.wait_check("metadata", False)
        self.assertIn("PostgreSQL at daybook@127.0.0.1", check["detail"])
        proxy.target = self.server.port
        self.indexed(load.ids, schema)

    def test_a_start_with_a_schema_that_is_not_ours_is_refused(self):
        for change, words in (
                ("SELECT 1", "daybook metadata migrate"),
                ("CREATE TABLE daybook_records (id int)", "some other program"),
                (None, "another shape"), ("INSERT INTO daybook_schema_versions VALUES (99, now(), 'x')",
                                          "newer Daybook")):
            migrated = change is None or "INSERT" in change
            schema = self.schema(migrated)
            self.server.psql(
                change or "ALTER TABLE daybook_records ALTER COLUMN size TYPE text", schema)
            daybook = self.daybook(settings_of(self.server, schema=schema), f"refused{schema}")
            daybook.start(wait_ready=False)
            self.assertEqual(daybook.process.wait(), 1, words)
            self.assertIn(words, daybook.tail())
            daybook.process = None

    def doctor(self, settings, password=None):
        run = tool(self.server, "doctor", "--json", settings={
            "node.data_dir": self.area.file("doctor"), "buffer.url": self.redis.url, **settings},
            password=password)
        self.assertNotIn(password or self.server.password, run.stdout + run.stderr)
        return {line["subject"]: line for line in json.loads(run.stdout)
                if line["subject"].startswith(("postgresql", "metadata"))}

    def test_doctor_names_each_trouble_and_its_mend(self):
        schema = self.schema()
        url = self.server.url
        self.server.psql("CREATE ROLE reader LOGIN PASSWORD 'reader-1'; "
                         f"GRANT USAGE ON SCHEMA {schema} TO reader; "
                         "GRANT SELECT ON daybook_records, daybook_schema_versions TO reader",
                         schema)
        tls = f"&sslmode=verify-full&sslrootcert={self.server.values['CA_FILE']}"
        cases = (
            ({"database": "nowhere"}, None, "metadata (postgresql)", "nowhere", "database"),
            ({"port": 1}, None, "metadata (postgresql)", "refused", "Start it"),
            ({"host": "db.invalid"}, None, "metadata (postgresql)", "no address", "Mend"),
            ({}, "wrong-word", "metadata (postgresql)", "28P01", "postgresql_password"),
            ({"options": tls}, None, "metadata (postgresql)", "does not match host name",
             "for another name"),
            ({"host": "localhost", "options": "&sslmode=verify-full&sslrootcert=/etc/hostname"},
             None, "metadata (postgresql)", "certificate", "sslrootcert"),
            ({"user": "reader"}, "reader-1", "postgresql privileges", "INSERT on daybook_records",
             ""),
            ({"schema": "public"}, None, "postgresql schema", "no tables", "metadata migrate"),
        )
        for change, password, subject, found, mend in cases:
            lines = self.doctor({"metadata.kind": "postgresql", "metadata.postgresql_url": url(
                **{"schema": schema, **change})}, password)
            with self.subTest(change=change, subject=subject):
                self.assertEqual(lines[subject]["verdict"], "fail", lines)
                self.assertIn(found, lines[subject]["detail"])
                self.assertIn(mend, lines[subject]["detail"] + lines[subject]["mend"])
        lines = self.doctor(settings_of(self.server, schema=schema, host="localhost",
                                        options=tls))
        self.assertIn("over TLS", lines["metadata (postgresql)"]["detail"])
        self.assertEqual({line["verdict"] for line in lines.values()}, {"ok"}, lines)
        self.server.psql("ALTER ROLE daybook SET synchronous_commit = off")
        lines = self.doctor(settings_of(self.server, schema=schema))
        self.server.psql("ALTER ROLE daybook RESET synchronous_commit")
        self.assertEqual(lines["postgresql synchronous_commit"]["verdict"], "warn")

    def test_two_migrations_at_once_make_one_schema(self):
        schema = self.schema(migrated=False)
        settings = settings_of(self.server, schema=schema)
        runs = []
        threads = [threading.Thread(target=lambda: runs.append(
            tool(self.server, "metadata", "migrate", settings=settings))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([run.returncode for run in runs], [0, 0, 0], [run.stderr for run in runs])
        status = tool(self.server, "metadata", "status", "--json", settings=settings)
        self.assertEqual(json.loads(status.stdout)["state"], "current")
        self.assertEqual(
            self.server.psql("SELECT version FROM daybook_schema_versions ORDER BY 1", schema),
            "0\n1\n2\n")

    def test_rows_move_from_sqlite_while_records_come_in_and_back(self):
        schema = self.schema()
        daybook = self.daybook({}, "moving").start()
        settings = {"node.data_dir": daybook.data_dir,
                    "metadata.postgresql_url": self.server.url(schema=schema)}

        def copy(source, target, **changed):
            run = tool(self.server, "metadata", "copy", "--json", "--from", source, "--to", target,
                       settings={**settings, **changed})
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            return json.loads(run.stdout)

        load = Load(daybook.port)
        try:
            load.wait_for(150)
            first = copy("sqlite", "postgresql")
            load.wait_for(50)
        finally:
            load.stop()
        self.assertEqual(load.wrong, [])
        self.assertGreater(first["rows"], 0)
        checker.wait_drained(self.redis, prefix="moving")
        daybook.stop()
        last = copy("sqlite", "postgresql")
        self.assertEqual((last["rows"], last["equal"], last["different_count"]),
                         (len(load.ids), len(load.ids), 0))
        self.assertEqual(self.server.rows("sha256, size", schema), load.ids)
        fresh = self.area.file("back.sqlite")
        back = copy("postgresql", "sqlite", **{"metadata.sqlite_file": fresh})
        self.assertEqual(back["equal"], len(load.ids))
        self.assertEqual({row["id"]: row for row in checker.rows(fresh)},
                         {row["id"]: row for row in checker.rows(daybook.sqlite_file)})
        # A row that is another one in the target is named, and stays.
        changed = sorted(load.ids)[3]
        self.server.psql(f"UPDATE daybook_records SET size = size + 1 WHERE id = '{changed}'",
                         schema)
        run = tool(self.server, "metadata", "copy", "--from", "sqlite", "--to", "postgresql",
                   settings=settings)
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        self.assertIn(f"differs  {changed}  size", run.stdout)

    def test_rows_go_round_all_kinds_and_come_back_the_same(self):
        dynalite = dynamodb.Dynalite(self.area)
        self.addCleanup(dynalite.stop)
        dynalite.start()
        daybook = self.daybook({}, "round").start()
        ids = [client.post(daybook.port, b"record %d" % number, {
            "ce-subject": "%C3%BC", "ce-zone": "eu"}).json()["id"] for number in range(30)]
        checker.wait_drained(self.redis, prefix="round")
        daybook.stop()
        last = self.area.file("round.sqlite")
        settings = {"metadata.postgresql_url": self.server.url(schema=self.schema()),
                    "metadata.dynamodb_endpoint": f"http://127.0.0.1:{dynalite.port}",
                    "metadata.dynamodb_region": dynamodb.REGION,
                    "metadata.dynamodb_table": "round", "node.data_dir": daybook.data_dir}
        keys = {"DAYBOOK_METADATA_DYNAMODB_ACCESS_KEY": dynamodb.ACCESS_KEY,
                "DAYBOOK_METADATA_DYNAMODB_SECRET_KEY": dynamodb.SECRET_KEY}
        for words in (("migrate", "--kind", "dynamodb"),
                      ("copy", "--from", "sqlite", "--to", "dynamodb"),
                      ("copy", "--from", "dynamodb", "--to", "postgresql"),
                      ("copy", "--from", "postgresql", "--to", "sqlite",
                       f"--set=metadata.sqlite_file={last}")):
            run = tool(self.server, "metadata", *words, settings=settings, environment=keys)
            self.assertEqual(run.returncode, 0, (words, run.stdout + run.stderr))
        was = {row["id"]: row for row in checker.rows(daybook.sqlite_file)}
        self.assertEqual(sorted(was), sorted(ids))
        self.assertEqual({row["id"]: row for row in checker.rows(last)}, was)


if __name__ == "__main__":
    harness.main()
