"""The template as a deployment with given parameters has it."""

from typing import Any

import cfnlint.decode

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
            case {"Fn::And": several}:
                return all(self.resolved(one) for one in several)
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

    def has(self, resource: str) -> bool:
        """Is the resource deployed at all."""
        condition = TEMPLATE["Resources"][resource].get("Condition")
        return condition is None or self.holds(condition)

    def properties(self, resource: str) -> dict[str, Any]:
        """A resource's properties."""
        properties: dict[str, Any] = self.resolved(TEMPLATE["Resources"][resource]["Properties"])
        return properties

    def environment(self) -> dict[str, Any]:
        """What every function finds in its environment."""
        globals_of: dict[str, Any] = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
        return {name: self.resolved(value) for name, value in globals_of.items()}

    def api(self) -> dict[str, Any]:
        """The API's properties."""
        properties: dict[str, Any] = self.resolved(TEMPLATE["Resources"]["Api"]["Properties"])
        return properties

    def denials(self, resource: str) -> list[dict[str, Any]]:
        """The Deny statements of the API's resource policy or of a bucket's."""
        if resource == "Api":
            statements = self.api()["Auth"]["ResourcePolicy"]["CustomStatements"]
        else:
            policy = TEMPLATE["Resources"][resource]["Properties"]["PolicyDocument"]
            statements = self.resolved(policy)["Statement"]
        return [one for one in statements if one["Effect"] == "Deny"]
