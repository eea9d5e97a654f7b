"""Every kind of fault, by name."""

from fault import Fault, Skip  # noqa: F401
from faults_clients import Duplicates, RudeClients
from faults_disk import DiskErrors, PowerCut, PowerCutControl, SpoolDiskErrors
from faults_index import SqliteFull, SqliteLocked, SqliteReadOnly
from faults_kill import (CrashPoint, Fenced, KillBoth, KillDaybook, KillRedis, Poison, Sigstop,
                         SigstopLong, SpoolCrashPoint)
from faults_limits import Clock, FewDescriptors, LittleMemory
from faults_redis import RedisLosesRecords, RedisOdd, RedisTrouble, RedisWrongAtStart
from faults_slow import EarlyRefusals, SlowBodies, SlowHeaders, SlowHttpTest
from faults_store import ArchiveAway, EverythingAway, ObjectStore, SmallDisk

FAULTS = {fault.name: fault for fault in (
    KillDaybook, CrashPoint, SpoolCrashPoint, KillRedis, KillBoth, Sigstop, SigstopLong, Fenced,
    RedisTrouble, RedisOdd, RedisLosesRecords, RedisWrongAtStart, ArchiveAway, SqliteLocked,
    SqliteFull, SqliteReadOnly, EverythingAway, SmallDisk, FewDescriptors, LittleMemory, RudeClients,
    SlowHeaders, SlowBodies, SlowHttpTest, EarlyRefusals, Duplicates, Clock, Poison, ObjectStore, DiskErrors,
    SpoolDiskErrors, PowerCut, PowerCutControl)}
