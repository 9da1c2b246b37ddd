# Examples of what house.yaml forbids and of what it leaves alone; `semgrep --test` holds one to the other.
# ruleid: functions-know-no-aws
import boto3
import datetime
import logging
import ssl
import sys

# ruleid: functions-know-no-aws
from botocore.config import Config

# ruleid: calls-out-are-guarded
import httpx

# ruleid: xml-has-no-doctype
from xml.etree import ElementTree

# ok: xml-has-no-doctype
from xml.sax.saxutils import quoteattr

_log = logging.getLogger(__name__)


def handler(event, connection, name, token, stored):
    # ruleid: functions-catch-nothing
    try:
        answer(event)
    except ValueError:
        return None
    # ruleid: functions-catch-nothing
    try:
        answer(event)
    except ValueError as error:
        return error
    # ruleid: nothing-is-printed
    print(event)
    # ok: nothing-is-printed
    print(event, file=sys.stderr)
    # ruleid: no-secret-is-logged
    _log.info("called with %s", token)
    # ruleid: no-secret-is-logged
    _log.warning("called with %s", event.client_secret[:4])
    # ok: no-secret-is-logged
    _log.info("called with %s", event.token_id)
    # ruleid: no-value-quoted-by-hand
    connection.execute(f"SELECT * FROM t WHERE name = '{name}'")
    # ok: no-value-quoted-by-hand
    connection.execute(f"SELECT * FROM {identifier(name)} WHERE name = ?", [name])
    # ok: no-value-quoted-by-hand
    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    # ruleid: no-sql-by-format
    connection.execute("SELECT * FROM %s" % name)
    # ruleid: no-sql-by-format
    connection.execute("SELECT * FROM {}".format(name))
    # ruleid: secrets-compare-in-constant-time
    if stored.secret_hash == name:
        return None
    # ok: secrets-compare-in-constant-time
    if stored.kind == name:
        return None
    # ruleid: time-is-handed-in
    now = datetime.datetime.now(datetime.UTC)
    context = ssl.create_default_context()
    # ruleid: certificates-are-checked
    context.check_hostname = False
    # ruleid: certificates-are-checked
    return httpx.Client(verify=False), now
