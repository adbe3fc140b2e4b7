"""Generator controllers behind a gateway that sends samples of numbered points over MQTT.

Source: what the gateway of the first site sends. Point 0 is the device id, in one message of a sample only. The other
points are the site's: without a map in the site file they are stored under their numbers.
"""

from greenpower.datatype import DataType, Mqtt
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
)
