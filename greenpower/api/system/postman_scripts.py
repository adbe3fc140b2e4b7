"""The scripts of the Postman collection: renewing the token, leaving out what may not run, testing the status.

What belongs here: JavaScript for Postman and newman. What does not: which request has which script
(`greenpower.api.system.postman`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

# An access token is renewed when it ends within this time.
RENEWED_BEFORE_SECONDS = 60
CHANGES = "allow_changes"
CHANGES_ALLOWED = "yes"

# Before every request of the collection. Each use of a refresh token gives another one: the new one is kept at once.
_RENEW = f"""\
const decode = require('atob');
const ends = token => {{
    try {{
        return JSON.parse(decode(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).exp;
    }} catch (error) {{
        return 0;
    }}
}};
const access = pm.variables.get('access');
const refresh = pm.variables.get('refresh');
if (access && refresh && ends(access) - Date.now() / 1000 < {RENEWED_BEFORE_SECONDS}) {{
    pm.sendRequest({{
        url: pm.variables.replaceIn('{{{{baseUrl}}}}/api/users/token/refresh/'),
        method: 'POST',
        header: {{'Content-Type': 'application/json'}},
        body: {{mode: 'raw', raw: JSON.stringify({{refresh: refresh}})}},
    }}, (error, response) => {{
        if (error || response.code !== 200) {{
            console.warn('The token could not be renewed: log in again.');
            return;
        }}
        pm.collectionVariables.set('access', response.json().access);
        pm.collectionVariables.set('refresh', response.json().refresh);
    }});
}}
"""
_STORE = """\
if (pm.response.code === 200) {
    const tokens = pm.response.json();
    pm.collectionVariables.set('access', tokens.access);
    if (tokens.refresh) { pm.collectionVariables.set('refresh', tokens.refresh); }
}
"""
_FORGET = """\
pm.collectionVariables.set('access', '');
pm.collectionVariables.set('refresh', '');
"""


def renew() -> dict[str, Any]:
    """The event before every request: the access token is renewed where it ends soon."""
    return _event("prerequest", _RENEW)


def leave_out(needed: Sequence[str], *, changes: bool) -> dict[str, Any]:
    """The event before a request: it is left out where it lacks a variable, or changes are not allowed."""
    text = f"const missing = {json.dumps(list(needed))}.filter(name => !pm.variables.get(name));\n"
    if changes:
        text += f"if (pm.variables.get('{CHANGES}') !== '{CHANGES_ALLOWED}') {{ missing.push('{CHANGES}'); }}\n"
    text += """\
if (missing.length) {
    console.info('Left out. Set the variables of the collection first: ' + missing.join(', '));
    pm.execution.skipRequest();
}
"""
    return _event("prerequest", text)


def check_status(codes: Sequence[int], *, store: bool = False, forget: bool = False) -> dict[str, Any]:
    """The event after a request: its status is one of these. store: keep the answer's tokens; forget: drop them."""
    named = " or ".join(map(str, codes))
    text = f"pm.test('status {named}', () => pm.expect(pm.response.code).to.be.oneOf({json.dumps(list(codes))}));\n"
    return _event("test", text + (_STORE if store else "") + (_FORGET if forget else ""))


def _event(listen: str, text: str) -> dict[str, Any]:
    return {"listen": listen, "script": {"type": "text/javascript", "exec": text.splitlines()}}
