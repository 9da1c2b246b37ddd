"""moto and botocore without work that nothing comes of: half of the component tests' time.

Their answers are the same: what is left out is searched for and never found, or made anew each time
from the same. That holds for moto 5.2 and botocore 1.44; with another version read the code before
the number.

And it answers one request at a time: its tables are plain dictionaries, which a thread may not add
to while another one goes through them ("dictionary changed size during iteration").
"""

import threading
from collections import defaultdict
from functools import cache
from typing import Any

import botocore.loaders
import botocore.useragent
import moto.core.models
import moto.core.responses
import moto.kms.models
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.config import default_user_config
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict

_models: Any = moto.core.models
_kms: Any = moto.kms.models
_json: Any = BaseJSONSerializer
_stubber: Any = BotocoreStubber
_responses: Any = moto.core.responses
_useragent: Any = botocore.useragent
_value: Any = DynamoType
_item: Any = Item
_loader: Any = botocore.loaders.Loader

_make_loader = _loader.__init__
_read: defaultdict[tuple[str, ...], dict[Any, Any]] = defaultdict(dict)
"""What loaders have read, by the folders that they look in."""
_serialize_structure = _json._serialize_type_structure
_private_key = _kms.generate_private_key
_private_key_once = cache(_private_key)
_answer_once = cache(_models.CallbackResponse)
_process_request = _stubber.process_request
_answering = threading.RLock()


def quicken() -> None:
    """Leaves that work out from now on, and has threads take turns."""
    _stubber.process_request = _in_turn
    _json._serialize_type_structure = _structure
    _kms.generate_private_key = _key
    # Each `mock_aws` makes the answers to a thousand patterns of addresses again.
    _models.CallbackResponse = _answer_once
    # For each new session the descriptions of AWS's services are read again.
    default_user_config["core"]["reset_boto3_session"] = False
    # And by whoever makes a session for each command, as headrace-admin does.
    _loader.__init__ = _loads_once
    # For each request a class is searched for its methods, and the program's name for what must
    # not be in it.
    _responses.method_names_from_class = cache(_responses.method_names_from_class)
    _useragent.sanitize_user_agent_string_component = cache(
        _useragent.sanitize_user_agent_string_component
    )
    # Each transaction copies its tables first, to have them as they were.
    _value.__deepcopy__ = _value_copied
    _item.__deepcopy__ = _item_copied


def _in_turn(self: Any, request: Any) -> Any:
    """The answer, with no other one in the making."""
    with _answering:
        return _process_request(self, request)


def _loads_once(self: Any, *arguments: Any, **named: Any) -> None:
    """What a loader has read, others of the same folders know: the descriptions are files of
    botocore's, which nobody changes."""
    _make_loader(self, *arguments, **named)
    self._cache = _read[(*self.search_paths, *self.extras_types)]


def _value_copied(value: Any, _: object = None) -> Any:
    """Another of the same. It is known to have no circle, so nothing is noted down."""
    copied = _value.__new__(_value)
    copied.type, of = value.type, value.value
    if type(of) is dict:
        of = {name: _value_copied(one) for name, one in of.items()}
    elif type(of) is list:
        of = [_value_copied(one) if type(one) is DynamoType else one for one in of]
    copied.value = of
    return copied


def _item_copied(item: Any, _: object = None) -> Any:
    copied = _item.__new__(_item)
    copied.hash_key = _value_copied(item.hash_key)
    copied.range_key = None if item.range_key is None else _value_copied(item.range_key)
    copied.attrs = LimitedSizeDict.__new__(LimitedSizeDict)
    for name, value in item.attrs.items():
        dict.__setitem__(copied.attrs, name, _value_copied(value))
    return copied


def _structure(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """A value in DynamoDB has one of ten members: moto searches for each by eight names."""
    if shape.name != "AttributeValue" or type(value) is not dict:
        _serialize_structure(self, serialized, value, shape, key)
        return
    wrapper: dict[str, Any] = {}
    for name, of in value.items():
        self._serialize(wrapper, of, shape.members[name], name)
    self._default_serialize(serialized, wrapper, shape, key)


def _key(key_spec: str) -> Any:
    """A symmetric key of KMS has no private one; moto makes one of RSA, which nothing uses."""
    return (
        _private_key_once(key_spec) if key_spec == "SYMMETRIC_DEFAULT" else _private_key(key_spec)
    )
