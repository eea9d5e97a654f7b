"""The metadata store: locked by another process, read-only, full, moved away and back."""

import os
import sqlite3
import subprocess
import time

from fault import Fault, Skip


class SqliteLocked(Fault):
    """another process holds the metadata store's lock, beyond the busy timeout"""
    name = "sqlite-locked"
    settings = {"metadata.sqlite_busy_timeout": "100ms"}

    def strike(self, world, rng):
        holder = sqlite3.connect(world.sqlite_file, isolation_level=None, timeout=30)
        holder.execute("BEGIN EXCLUSIVE")
        time.sleep(rng.uniform(0.2, 2))
        holder.execute("ROLLBACK")
        holder.close()
        return time.monotonic()


class SqliteFull(Fault):
    """the index on a disk of its own, which fills up"""
    name = "sqlite-full"
    mounted = None

    def prepare(self, world):
        folder = world.area.file("index")
        os.makedirs(folder)
        world.daybook.stop()
        run = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder],
                             capture_output=True, check=False)
        if run.returncode != 0:
            raise Skip("mounting a tmpfs is not permitted here")
        self.mounted = folder
        world.daybook.settings["metadata.sqlite_file"] = os.path.join(folder, "metadata.sqlite")
        world.daybook.start()
        world.descriptors = world.count_descriptors()

    def strike(self, world, rng):
        filler = os.path.join(self.mounted, "filler")
        with open(filler, "wb", buffering=0) as out:
            for size in (1 << 20, 512):
                try:
                    while out.write(bytes(size)):
                        pass
                except OSError:
                    pass
        time.sleep(rng.uniform(0.5, 2))
        os.remove(filler)
        moment = time.monotonic()
        world.daybook.wait_check("metadata", True, 60)
        return moment

    def clean_up(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.mounted], capture_output=True, check=False)


class SqliteReadOnly(Fault):
    """the index cannot be written, while daybook runs or when it starts; or it is not there"""
    name, tears_spool = "sqlite-read-only", True
    kinds = ("while_it_runs", "at_start", "away_at_start")
    turn = 0

    def prepare(self, world):
        if not self.immutable(world, "+"):
            raise Skip("files cannot be made immutable here")
        self.immutable(world, "-")

    def immutable(self, world, sign):
        """Not even root, or a process that has the file open, may write it then."""
        files = [world.sqlite_file + end for end in ("", "-wal")
                 if os.path.exists(world.sqlite_file + end)]
        return subprocess.run(["chattr", sign + "i", *files], capture_output=True,
                              check=False).returncode == 0

    def strike(self, world, rng):
        kind, self.turn = self.kinds[self.turn % len(self.kinds)], self.turn + 1
        return getattr(self, kind)(world, rng)

    def while_it_runs(self, world, rng):
        self.immutable(world, "+")
        try:
            time.sleep(rng.uniform(0.5, 2))
        finally:
            self.immutable(world, "-")
        return time.monotonic()

    def at_start(self, world, rng):
        world.daybook.kill()
        self.immutable(world, "+")
        try:
            self.refuses_to_start(world)
        finally:
            self.immutable(world, "-")
        world.restart_daybook()
        return time.monotonic()

    def away_at_start(self, world, rng):
        """A folder is in its place."""
        path = world.sqlite_file
        world.daybook.kill()
        moved = [path + end for end in ("", "-wal", "-shm") if os.path.exists(path + end)]
        for one in moved:
            os.rename(one, one + ".away")
        os.mkdir(path)
        try:
            self.refuses_to_start(world)
        finally:
            os.rmdir(path)
            for one in moved:
                os.rename(one + ".away", one)
        world.restart_daybook()
        return time.monotonic()

    def refuses_to_start(self, world):
        """It ends with 1 and a sentence that names the file; whoever supervises it starts it again."""
        before = len(world.daybook.process.log())
        world.daybook.start(wait_ready=False)
        status = world.daybook.process.wait(30)
        said = world.daybook.process.log()[before:]
        if status != 1 or world.sqlite_file.encode() not in said:
            raise AssertionError(f"an index that cannot be written: status {status}, {said[-400:]}")
