"""The page on Terraform names what the templates have."""

from __future__ import annotations

import re
from pathlib import Path

from simulated_aws import estate
from tests.project.checkout import text

PAGE = text(Path("docs/terraform.md"))
STACKS = {
    name: (block, estate.TEMPLATES / template)
    for name, block, template in re.findall(
        r'resource "aws_cloudformation_stack" "(\w+)" (\{.*?cloudformation/([\w-]+\.yaml)".*?\n\})', PAGE, re.DOTALL
    )
}
BODY_BYTES = 51_200
"""The most that a request takes as a template's own text: larger ones must lie in S3."""


def test_every_parameter_of_the_page_is_one_of_its_template() -> None:
    """A name that is not there is refused by CloudFormation; so is a value that is not allowed."""
    assert len(STACKS) == 3
    for block, template in STACKS.values():
        parameters = estate.load(template)["Parameters"]
        given = re.findall(r'^    (\w+) += (?:"(.*)")?', block, re.MULTILINE)
        assert given
        assert {name for name, _ in given} <= set(parameters), template.name
        for name, value in given:
            allowed = parameters[name].get("AllowedValues")
            assert not value or not allowed or value in map(str, allowed), name


def test_every_output_of_the_page_is_one_of_its_template() -> None:
    """One that is missing is an error of `terraform plan` only after the stack exists."""
    named = re.findall(r'aws_cloudformation_stack\.(\w+)\.outputs\["(\w+)"\]', PAGE)
    assert named
    assert [pair for pair in named if pair[1] not in estate.load(STACKS[pair[0]][1])["Outputs"]] == []


def test_every_template_fits_into_a_request() -> None:
    """`template_body` and `aws cloudformation deploy` hand the text over as it is."""
    sizes = {path.name: path.stat().st_size for path in estate.TEMPLATES.glob("*.yaml")}
    assert {name: size for name, size in sizes.items() if size > BODY_BYTES} == {}
