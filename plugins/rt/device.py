"""Models of meters that send `MQTT_RT_DATA`: which keys each sends, in which spelling, in how many packets."""

from greenpower.datatype import Model

IDS = "33B12260#####"

KPM33B = Model(
    name="KPM33B",
    fields=(
        *("ia", "ib", "ic", "ua", "ub", "uc", "uab", "ubc", "uca", "pa", "pb", "pc", "zyggl"),
        *("qa", "qb", "qc", "zwggl", "sa", "sb", "sc", "zszgl", "pfa", "pfb", "pfc", "zglys", "f"),
        *("uxja", "uxjb", "uxjc", "ixja", "ixjb", "ixjc", "unb", "inb", "pdm", "qdm", "sdm", "iadm", "ibdm", "icdm"),
    ),
)
KPM37 = Model(
    name="KPM37",
    packets=9,
    spelling={
        **{"u0": "U0", "uplus": "U+", "uminus": "U-", "i0": "I0", "iplus": "I+", "iminus": "I-"},
        **{"uxja": "UXJA", "uxjb": "UXJB", "uxjc": "UXJC", "ixja": "IXJA", "ixjb": "IXJB", "ixjc": "IXJC"},
    },
)
DDS666 = Model(
    name="DDS666", phases=1, fields=("ua", "ia", "pa", "zyggl", "qa", "zwggl", "sa", "zszgl", "pfa", "zglys", "f")
)

MODELS = (KPM33B, KPM37, DDS666)
