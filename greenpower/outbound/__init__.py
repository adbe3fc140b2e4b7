"""Sending to other programs: readings and buckets to webhooks and MQTT, at least once and in order.

    feeds      what there is for a target behind a position: rows that have settled, as `changes/` shows them
    batch      rows as they are sent, with a delivery id
    address    which addresses are allowed
    webhook    a POST with a signature
    mqtt       messages with QoS 1
    run        one round through the targets: claim, send, save the position, back off
    wake       a worker is told that there is something to do

What does not belong here: the targets (`greenpower.sql.outbound_target`), their positions
(`greenpower.mongo.outbound`), when it runs (`greenpower.jobs.outbound`).
"""
