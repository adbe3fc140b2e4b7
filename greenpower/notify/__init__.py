"""Notifications: messages to people, by mail, messengers and webhooks.

What belongs here: the outbox that others put notices into, when they are sent, and the one module that speaks through
apprise (`deliver`, for the worker only). What does not: why something is told (alarms, reports), the documents
(`greenpower.mongo.notifications`), the channels' rows (`greenpower.sql.channel`).
"""
