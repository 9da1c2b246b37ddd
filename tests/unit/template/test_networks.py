"""What the template makes of the parameters that restrict networks."""

from typing import Any

import cfnlint.decode
import pytest

from tests.world import ROOT

TEMPLATE: dict[str, Any] = cfnlint.decode.decode(str(ROOT / "template.yaml"))[0]


class Deployed:
    """The template with parameters given: conditions decided, references to parameters filled."""

    def __init__(self, **given: str) -> None:
        self.values = {
            name: given.get(name, str(parameter.get("Default", "")))
            for name, parameter in TEMPLATE["Parameters"].items()
        }

    def parameter(self, name: str) -> Any:
        """The value, split where the parameter is a list."""
        value = self.values[name]
        is_list = TEMPLATE["Parameters"][name]["Type"] == "CommaDelimitedList"
        return value.split(",") if is_list else value

    def holds(self, name: str) -> bool:
        """Is the condition true."""
        return bool(self.resolved(TEMPLATE["Conditions"][name]))

    def resolved(self, value: Any) -> Any:
        """The value without its functions; AWS::NoValue and what hangs on it are left out."""
        match value:
            case {"Ref": "AWS::NoValue"}:
                return None
            case {"Ref": str(name)} if name in self.values:
                return self.parameter(name)
            case {"Fn::If": [condition, yes, no]}:
                return self.resolved(yes if self.holds(condition) else no)
            case {"Fn::Equals": [left, right]}:
                return self.resolved(left) == self.resolved(right)
            case {"Fn::Not": [one]}:
                return not self.resolved(one)
            case {"Fn::Or": several}:
                return any(self.resolved(one) for one in several)
            case {"Fn::Select": [index, items]}:
                return self.resolved(items)[index]
            case {"Condition": str(name)} if len(value) == 1:
                return self.holds(name)
            case dict():
                items = ((name, self.resolved(item)) for name, item in value.items())
                return {name: item for name, item in items if item is not None}
            case list():
                return [item for item in map(self.resolved, value) if item is not None]
        return value

    def api(self) -> dict[str, Any]:
        """The API's properties."""
        properties: dict[str, Any] = self.resolved(TEMPLATE["Resources"]["Api"]["Properties"])
        return properties

    def denials(self, resource: str) -> list[dict[str, Any]]:
        """The Deny statements of the API's resource policy or of the bucket's."""
        if resource == "Api":
            statements = self.api()["Auth"]["ResourcePolicy"]["CustomStatements"]
        else:
            policy = TEMPLATE["Resources"]["FilesBucketPolicy"]["Properties"]["PolicyDocument"]
            statements = self.resolved(policy)["Statement"]
        return [one for one in statements if one["Effect"] == "Deny"]


def test_without_parameters_no_network_is_refused() -> None:
    assert Deployed().denials("Api") == []
    assert [one["Sid"] for one in Deployed().denials("FilesBucketPolicy")] == [
        "TlsOnly",
        "EncryptedOnly",
    ]


@pytest.mark.parametrize("resource", ["Api", "FilesBucketPolicy"])
def test_allowed_cidrs_refuse_every_other_address_for_api_and_files(resource: str) -> None:
    deployed = Deployed(AllowedCidrs="198.51.100.0/24,2001:db8::/32")
    denial = deployed.denials(resource)[-1]
    assert denial["Condition"]["NotIpAddress"] == {
        "aws:SourceIp": ["198.51.100.0/24", "2001:db8::/32"]
    }


@pytest.mark.parametrize("resource", ["Api", "FilesBucketPolicy"])
def test_allowed_vpc_endpoints_refuse_what_comes_another_way(resource: str) -> None:
    deployed = Deployed(AllowedVpcEndpoints="vpce-1,vpce-2")
    denial = deployed.denials(resource)[-1]
    assert denial["Condition"]["StringNotEquals"] == {"aws:SourceVpce": ["vpce-1", "vpce-2"]}
    # Conditions of a statement hold together: the other one must be true of every address.
    assert denial["Condition"]["NotIpAddress"] == {"aws:SourceIp": ["192.0.2.0/32"]}


def test_either_a_cidr_or_a_vpc_endpoint_is_enough_where_both_are_given() -> None:
    deployed = Deployed(AllowedCidrs="198.51.100.0/24", AllowedVpcEndpoints="vpce-1")
    [denial] = deployed.denials("Api")
    assert set(denial["Condition"]) == {"NotIpAddress", "StringNotEquals"}


def test_only_links_are_held_to_the_networks_and_not_the_functions() -> None:
    denial = Deployed(AllowedCidrs="198.51.100.0/24").denials("FilesBucketPolicy")[-1]
    assert denial["Condition"]["StringEquals"] == {"s3:authType": "REST-QUERY-STRING"}


def test_a_private_api_is_reached_through_its_vpc_endpoints_only() -> None:
    private = Deployed(EndpointType="PRIVATE", VpcEndpointIds="vpce-1").api()
    assert private["EndpointConfiguration"] == {"Type": "PRIVATE", "VPCEndpointIds": ["vpce-1"]}
    assert Deployed().api()["EndpointConfiguration"] == {"Type": "REGIONAL"}
