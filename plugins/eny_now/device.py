"""Models of meters that send energy frames: which registers each sends, in how many packets.

The order is that of the models for `MQTT_RT_DATA`, since one meter sends both.
"""

from greenpower.datatype import Model

IDS = "33B12260#####"

TOTALS = ("zygsz", "fygsz", "zwgsz", "fwgsz", "zszsz")
TARIFFS = ("zyjsz", "fyjsz", "zyfsz", "fyfsz", "zypsz", "fypsz", "zyvsz", "fyvsz", "zydvsz", "fydvsz")
FROZEN = ("zygdd", "fygdd", "zwgdd", "fwgdd")

#: packet 9 of 11 is marked as the last, but two more follow
RUNNING = (
    Model(name="KPM33B", fields=(*TOTALS, *TARIFFS)),
    Model(name="KPM37", packets=11, complete=(9, 11)),
    Model(name="DDS666", phases=1, fields=TOTALS),
)
#: the first of 3 packets is marked as the last
DAILY = (Model(name="KPM37", packets=3, complete=(1,)),)
ON_SCHEDULE = (
    Model(name="KPM37 as daily", packets=3, complete=(1,), fields=(*FROZEN, *TARIFFS)),
    Model(name="KPM33B", fields=(*TOTALS, *TARIFFS)),
)
