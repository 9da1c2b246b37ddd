"""Deployments of a stack that is there already."""

from local.emulator.sources import Patch

_STACK = "ministack.services.cloudformation.provisioners"

PATCHES = (
    Patch(
        _STACK,
        "a changed API definition overwrites the API in place: its id and its stages stay",
        old="""\
        created = _apigw_rest_api_create(logical_id or physical_id, new_props, stack_name)
        _delete_predecessor(_apigw_rest_api_delete, physical_id, old_props)
        return created
""",
        new="""\
        stores = (_apigw_v1._stages_v1, _apigw_v1._deployments_v1, _apigw_v1._deployed_gateway_responses)
        kept = [store.get(physical_id) for store in stores]
        _apigw_rest_api_delete(physical_id, old_props)
        created = _apigw_rest_api_create(logical_id or physical_id, new_props, stack_name)
        for store, value in zip(stores, kept):
            if created[0] == physical_id and value is not None:
                store[physical_id] = value
        return created
""",  # noqa: E501
    ),
)
