"""Ids as parts of a path."""

from starlette.convertors import IntegerConvertor, PathConvertor, register_url_convertor


class _Identifier(PathConvertor):
    regex = "(?s:.*)"  # with slashes and line breaks


class _Number(IntegerConvertor):
    regex = "[0-9]{1,9}"  # no word, and none too long to be read


register_url_convertor("identifier", _Identifier())
register_url_convertor("number", _Number())

USER = "/v1/users/{user_id:identifier}"
ITEM = "/v1/items/{item_id:identifier}"
INTENT = "/v1/intents/{intent_id:number}"
