"""Every kind of fault, by name."""

from fault import Fault, Skip  # noqa: F401
from faults_clients import Duplicates, RudeClients
from faults_disk import DiskErrors, PowerCut, PowerCutControl, SpoolDiskErrors
from faults_kill import (CrashPoint, Fenced, KillBoth, KillDaybook, KillRedis, Poison, Sigstop,
                         SpoolCrashPoint)
from faults_limits import Clock, FewDescriptors
from faults_redis import RedisLosesRecords, RedisOdd, RedisTrouble, RedisWrongAtStart
from faults_store import ArchiveAway, EverythingAway, ObjectStore, SmallDisk, SqliteLocked

FAULTS = {fault.name: fault for fault in (
    KillDaybook, CrashPoint, SpoolCrashPoint, KillRedis, KillBoth, Sigstop, Fenced, RedisTrouble,
    RedisOdd, RedisLosesRecords, RedisWrongAtStart, ArchiveAway, SqliteLocked, EverythingAway, SmallDisk, FewDescriptors, RudeClients,
    Duplicates, Clock, Poison, ObjectStore, DiskErrors, SpoolDiskErrors, PowerCut, PowerCutControl)}
