"""What the template makes of the parameters that restrict networks."""

import pytest

from tests.unit.template.deployed import Deployed


def test_without_parameters_no_network_is_refused() -> None:
    assert Deployed().denials("Api") == []
    for bucket in ("FilesBucketPolicy", "DataSetsBucketPolicy"):
        assert [one["Sid"] for one in Deployed().denials(bucket)] == ["TlsOnly", "EncryptedOnly"]


@pytest.mark.parametrize("resource", ["Api", "FilesBucketPolicy", "DataSetsBucketPolicy"])
def test_allowed_cidrs_refuse_every_other_address_for_api_and_files(resource: str) -> None:
    deployed = Deployed(AllowedCidrs="198.51.100.0/24,2001:db8::/32")
    denial = deployed.denials(resource)[-1]
    assert denial["Condition"]["NotIpAddress"] == {
        "aws:SourceIp": ["198.51.100.0/24", "2001:db8::/32"]
    }


@pytest.mark.parametrize("resource", ["Api", "FilesBucketPolicy", "DataSetsBucketPolicy"])
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


@pytest.mark.parametrize("bucket", ["FilesBucketPolicy", "DataSetsBucketPolicy"])
def test_only_links_are_held_to_the_networks_and_not_the_functions(bucket: str) -> None:
    denial = Deployed(AllowedCidrs="198.51.100.0/24").denials(bucket)[-1]
    assert denial["Condition"]["StringEquals"] == {"s3:authType": "REST-QUERY-STRING"}


def test_a_private_api_is_reached_through_its_vpc_endpoints_only() -> None:
    private = Deployed(EndpointType="PRIVATE", VpcEndpointIds="vpce-1").api()
    assert private["EndpointConfiguration"] == {"Type": "PRIVATE", "VPCEndpointIds": ["vpce-1"]}
    assert Deployed().api()["EndpointConfiguration"] == {"Type": "REGIONAL"}
