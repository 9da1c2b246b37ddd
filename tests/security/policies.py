"""The template's policies, as IAM would see them in a deployment that uses everything."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.unit.template.deployed import TEMPLATE

_ACCOUNT = "eu-west-1:123456789012"
_KEY = "11111111-2222-3333-4444-555555555555"
_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "headrace",
    "AWS::URLSuffix": "amazonaws.com",
}
_GIVEN = {
    "WarehouseBucket": "warehouse",
    "WarehousePrefix": "lake/",
    "WarehouseKeyArn": f"arn:aws:kms:{_ACCOUNT}:key/{_KEY}",
    "WarehouseAccessPointArn": f"arn:aws:elasticfilesystem:{_ACCOUNT}:access-point/fsap-1",
    "SourceSecrets": [f"arn:aws:secretsmanager:{_ACCOUNT}:secret:hr-database-AbCdEf"],
    "SourceSecretsKey": f"arn:aws:kms:{_ACCOUNT}:key/{_KEY}",
    "SigningKeys": [f"arn:aws:kms:{_ACCOUNT}:key/{_KEY}"],
    "AthenaWorkgroup": "headrace",
}
"""What a deployment names for itself. Other parameters have their defaults."""
_ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{_ACCOUNT}:table/{{}}",
    "AWS::KMS::Key": f"arn:aws:kms:{_ACCOUNT}:key/{_KEY}",
    "AWS::KMS::Alias": f"arn:aws:kms:{_ACCOUNT}:alias/{{}}",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::Serverless::Function": f"arn:aws:lambda:{_ACCOUNT}:function:{{}}",
    "AWS::Serverless::StateMachine": f"arn:aws:states:{_ACCOUNT}:stateMachine:{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{_ACCOUNT}:log-group:{{}}",
}


def policies() -> dict[str, dict[str, Any]]:
    """Each policy document by the resource that has it; that of a role after the role's name."""
    found: dict[str, dict[str, Any]] = {}
    for name, resource in TEMPLATE["Resources"].items():
        for number, document in enumerate(_documents(resource)):
            place = name if number == 0 else f"{name}.{number}"
            found[place] = {"Version": "2012-10-17", "Statement": resolved(document["Statement"])}
    return found


def _documents(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    properties = resource.get("Properties", {})
    if resource["Type"] == "AWS::IAM::ManagedPolicy":
        yield properties["PolicyDocument"]
    if resource["Type"] == "AWS::IAM::Role":
        yield from (one["PolicyDocument"] for one in properties.get("Policies", []))
    if resource["Type"] in ("AWS::Serverless::Function", "AWS::Serverless::StateMachine"):
        for one in properties.get("Policies", []):
            yield from (branch for branch in _branches(one) if "Statement" in branch)


def _branches(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return value["Fn::If"][1:] if "Fn::If" in value else [value]


def resolved(value: Any) -> Any:
    """The value without its functions; of two branches the one that is something."""
    match value:
        case {"Ref": "AWS::NoValue"}:
            return None
        case {"Ref": str(name)}:
            return _referred(name)
        case {"Fn::GetAtt": [str(name), "Arn"]}:
            return _arn(name)
        case {"Fn::GetAtt": str(path)}:
            return _arn(path.split(".")[0])
        case {"Fn::If": [_, yes, no]}:
            return resolved(yes) if resolved(yes) is not None else resolved(no)
        case {"Fn::Sub": str(text)}:
            return _filled(text, {})
        case {"Fn::Sub": [str(text), given]}:
            return _filled(text, given)
        case {"Fn::Join": [str(between), parts]}:
            return between.join(resolved(parts))
        case dict():
            items = ((name, resolved(item)) for name, item in value.items())
            return {name: item for name, item in items if item is not None}
        case list():
            return [item for item in map(resolved, value) if item is not None]
    return value


def _referred(name: str) -> Any:
    if name in _PSEUDO:
        return _PSEUDO[name]
    if name in TEMPLATE["Parameters"]:
        return _GIVEN.get(name, str(TEMPLATE["Parameters"][name].get("Default", "")))
    is_named_by_arn = TEMPLATE["Resources"][name]["Type"] == "AWS::Serverless::StateMachine"
    return _arn(name) if is_named_by_arn else name.lower()


def _arn(name: str) -> str:
    return _ARNS[TEMPLATE["Resources"][name]["Type"]].format(name)


def _filled(text: str, given: Mapping[str, Any]) -> str:
    for name in TEMPLATE["Parameters"] | TEMPLATE["Resources"] | _PSEUDO | given:
        if f"${{{name}}}" in text:
            filling = resolved(given[name]) if name in given else _referred(name)
            text = text.replace(f"${{{name}}}", str(filling))
        if f"${{{name}.Arn}}" in text:
            text = text.replace(f"${{{name}.Arn}}", _arn(name))
    return text
