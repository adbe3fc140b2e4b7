"""What callers send to make, end and withdraw a correction of a device.

What belongs here: the shapes. What does not: whether a correction is possible (`correction_checks`), what is answered
(`corrections`).
"""

from __future__ import annotations

from datetime import UTC

import marshmallow as ma

from greenpower.api.energy.energy_corrections import MADE_OF_ENERGY, EnergyCorrectionFields
from greenpower.api.energy.meter_swaps import MAX_REASON_LENGTH, reason_field
from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_TYPE, text_field
from greenpower.mongo.corrections.document import CorrectionKind

MADE_HERE = (CorrectionKind.EXCLUSION, CorrectionKind.FACTOR, *MADE_OF_ENERGY)


class NewCorrectionBody(EnergyCorrectionFields):
    """A correction to be made."""

    type = ma.fields.String(
        required=True,
        validate=ma.validate.Length(1, 64),
        metadata=describe("name of the data type", example=EXAMPLE_TYPE),
    )
    field = ma.fields.String(
        required=True, validate=ma.validate.Length(1, 64), metadata=describe("the field", example="zygsz")
    )
    kind = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf([kind.value for kind in MADE_HERE]),
        metadata=describe(
            "`exclusion`: leave the samples out; `factor`: multiply them by `factor`; `fixed`: the energy is `energy`; "
            "`estimate`: spread the energy of silences",
            example="factor",
        ),
    )
    begin = ma.fields.AwareDateTime(
        required=True,
        default_timezone=UTC,
        metadata=describe("the first time, UTC if no offset is given", example="2026-11-20T00:45:00+06:00"),
    )
    end = ma.fields.AwareDateTime(
        load_default=None,
        allow_none=True,
        default_timezone=UTC,
        metadata=describe("the first time after it; null: no end yet"),
    )
    factor = ma.fields.Float(
        load_default=None,
        allow_none=True,
        metadata=describe("of a factor: what the samples are multiplied by", example=0.001),
    )
    reason = reason_field()


class CorrectionEnd(ma.Schema):
    """An earlier end of a correction."""

    end = ma.fields.AwareDateTime(
        required=True, default_timezone=UTC, metadata=describe("the first time after it, earlier than it is now")
    )
    reason = reason_field()


class WithdrawalQuery(ma.Schema):
    """Why a correction is withdrawn."""

    reason = text_field("reason, kept with the correction", MAX_REASON_LENGTH, load_default="")
