"""Reports of a week or a month: one value with all figures, shown as a page, as PDF and as XLSX, and when they are due.

What belongs here: what a report says, how it looks, and which are due. What does not: the figures themselves, which are
the answers of `/api/energy/` (`greenpower.api.energy.report` asks for them), and mailing (`greenpower.notify`).
"""
