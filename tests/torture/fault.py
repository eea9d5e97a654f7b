"""What every fault has. faults.py lists them all.

A fault has a name, the settings its world needs, and a sentence for the report. `faults_build` says
that crash points must be compiled in. strike() makes it happen once, under load, heals it, and returns
the moment from which recovery counts.
"""

import harness


class Fault:
    name = ""
    settings, environment, redis_settings, prefix = {}, {}, {}, ()
    faults_build = False
    tears_spool = False
    forgets_keys = False        # Redis loses what it had
    clients = 4                 # of the generator
    at_once = False             # one strike() makes all `count` of them
    count = 0                   # the run sets it
    restarts = False            # before the check
    pause_s = (0.05, 0.8)       # of load between two strikes

    def prepare(self, world):
        """Once, before the load; may raise Skip."""

    def strike(self, world, rng):
        raise NotImplementedError

    def heal(self, world):
        """Once, after the load: what the runbook tells an operator to do."""

    def listed(self, world):
        """Ids of records that are gone and that Daybook says are gone; once, after the drain."""
        return frozenset()

    def figures(self):
        """What else the report is to say of this run: name -> number."""
        return {}

    def archive(self, world):
        """The folder in which the judge finds the archived objects."""
        return world.archive_dir


class Skip(Exception):
    """This machine cannot make that fault."""


def sanitized():
    with open(harness.binary(), "rb") as program:
        return b"__asan_init" in program.read()
