"""Generator controllers behind a gateway that sends samples of numbered points over MQTT.

Source: frames of the gateway at the first site. Point 0 is the device id; only one message of a sample has it. The site
file gives the other points names; without names they are stored under their numbers.
"""

from greenpower.datatype import DataType, Metered, Mqtt, PointRole
from plugins.generator.device import GeneratorWire
from plugins.generator.parser import parse

DATATYPE = DataType(
    name="generator",
    title="Generators",
    endpoint="generator-data",
    collection="generator_data",
    match=(Mqtt("CCCL/PURBACHAL/ENM_01"),),
    fields=(),
    parse=parse,
    stale_after=300,
    id_in_one_part=True,
    wire=GeneratorWire(),
    metered=(Metered(role=PointRole.GENERATOR),),
)
