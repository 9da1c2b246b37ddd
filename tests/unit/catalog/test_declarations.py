"""What is wrong in catalog files is found all at once, and said with file, line and fix."""

from pathlib import Path

import pytest

from headrace.catalog.declarations import CatalogText, read_declarations, read_folder
from headrace.catalog.model import CatalogRefused
from headrace.identity.users import Permission

GOOD = """\
tenants:
  - id: northwind
    name: Northwind
    time_zone: Europe/Amsterdam
  - id: harbour
    name: Harbour
clients:
  - id: integrator
    name: Integrator
    tenants: [northwind]
sources:
  - name: hr
    kind: ducklake
    options: {catalog: "sqlite:${HOME_OF_LAKE}/c.sqlite"}
configurations:
  - id: full
    client: integrator
    tenant: northwind
    default: true
    source: hr
    tables:
      - name: employees
        source: hr.employees
        primary_key: [id]
        tenant_column: tenant_id
        columns:
          - id
          - {source: first_name, name: firstName}
          - salary
"""


def problems(text: str, **variables: str) -> list[str]:
    """What is said of the text, without the file's name, which stands before each."""
    variables.setdefault("HOME_OF_LAKE", "/lake")
    declared = read_declarations([CatalogText("c.yaml", text)], variables)
    found = [str(problem) for problem in sorted(set(declared.problems))]
    assert all(problem.startswith("c.yaml:") for problem in found)
    return [problem.removeprefix("c.yaml:") for problem in found]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_a_good_catalog_has_no_problems() -> None:
    assert problems(GOOD) == []


def test_defaults() -> None:
    declared = read_declarations([CatalogText("c.yaml", GOOD)], {"HOME_OF_LAKE": "/lake"})
    [client] = declared.clients
    assert client.entry.daily_quota == 3
    assert client.entry.scopes == ["metadata:read", "data:read", "jobs:manage"]
    assert declared.tenants[1].entry.time_zone == "UTC"
    assert declared.sources[0].entry.options == {"catalog": "sqlite:/lake/c.sqlite"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "    name: Harbour\n",
            "",
            '5: tenants[1]: "name" is missing: what people call it',
        ),
        (
            "        columns:",
            "        colums:",
            '26: configurations[0].tables[0].colums: unknown key "colums"; did you mean "columns"?',
        ),
        (
            "clients:",
            "client:",
            '7: client: unknown key "client"; did you mean "clients"?',
        ),
        (
            "time_zone: Europe/Amsterdam",
            "time_zone: Europe/Amsterdm",
            '4: tenants[0].time_zone: there is no time zone "Europe/Amsterdm"; did you mean '
            '"Europe/Amsterdam"?',
        ),
        (
            "time_zone: Europe/Amsterdam",
            "time_zone: ../../etc/passwd",
            '4: tenants[0].time_zone: there is no time zone "../../etc/passwd"; names are those '
            "of the IANA list",
        ),
        (
            "id: northwind\n",
            "id: no\n",
            "2: tenants[0].id: must be a text, and is false; put it in quotes",
        ),
        (
            "id: northwind\n",
            "id: 0042\n",
            "2: tenants[0].id: must be a text, and is the number 34; put it in quotes",
        ),
        (
            "id: northwind\n",
            "id: north#wind\n",
            "2: tenants[0].id: must be 1 to 64 letters, digits, dots, hyphens and underscores, "
            "and begin with a letter or digit",
        ),
        (
            "    tenants: [northwind]",
            "    tenants: northwind",
            '10: clients[0].tenants: must be a list, and is the text "northwind"',
        ),
        (
            "    tenants: [northwind]",
            "    tenants: []",
            "10: clients[0].tenants: must not be empty",
        ),
        (
            "    tenants: [northwind]",
            "    tenants: [northwind, northwind]",
            '10: clients[0].tenants: names "northwind" more than once',
        ),
        (
            "    tenants: [northwind]",
            "    tenants: [northwint]",
            '10: clients[0].tenants[0]: there is no tenant "northwint"; did you mean "northwind"?',
        ),
        (
            "    tenants: [northwind]",
            "    tenants: [northwind]\n    daily_quota: 3.5",
            "11: clients[0].daily_quota: must be a whole number, and is the number 3.5",
        ),
        (
            "    tenants: [northwind]",
            '    tenants: [northwind]\n    daily_quota: "3"',
            '11: clients[0].daily_quota: must be a whole number, and is the text "3"',
        ),
        (
            "    tenants: [northwind]",
            "    tenants: [northwind]\n    daily_quota: -1",
            "11: clients[0].daily_quota: must be 0 or more, and is the number -1",
        ),
        (
            "    tenants: [northwind]",
            "    tenants: [northwind]\n    scopes: [data:read, data:write]",
            '11: clients[0].scopes[1]: there is no scope "data:write"; did you mean "data:read"?',
        ),
        (
            "    tenants: [northwind]",
            "    tenants: [northwind]\n    scopes: [youforce-data-api:data:read]",
            '11: clients[0].scopes[0]: there is no scope "youforce-data-api:data:read"; write it '
            "without the prefix",
        ),
        (
            "    tenants: [northwind]",
            '    tenants: [northwind]\n    allowed_networks:\n      - "2001:db8::/32"\n'
            "      - 10.1.2.3/8",
            '13: clients[0].allowed_networks[1]: "10.1.2.3/8" names an address inside a network; '
            'the network is "10.0.0.0/8"',
        ),
        (
            "    tenants: [northwind]",
            "    tenants: [northwind]\n    allowed_networks: [example.com]",
            '11: clients[0].allowed_networks[0]: "example.com" is no network; write CIDR such as '
            '"192.0.2.0/24" or "2001:db8::/32"',
        ),
        (
            "    tenants: [northwind]",
            '    tenants: [northwind]\n    webhooks: [{name: w, url: "http://hooks.example/"}]',
            "11: clients[0].webhooks[0].url: must be https: what goes by http can be read and "
            "changed on its way",
        ),
        (
            "    tenants: [northwind]",
            '    tenants: [northwind]\n    webhooks: [{name: w, url: "http://127.0.0.1:8080/"}]',
            "11: clients[0].webhooks[0].url: must be https; http is for a platform on this machine "
            "(--local)",
        ),
        (
            "    tenants: [northwind]",
            '    tenants: [northwind]\n    webhooks: [{name: w, url: "https://me:it@hooks.example/"}]',
            "11: clients[0].webhooks[0].url: is no URL that can be called: it must not hold a user "
            "name or password",
        ),
        (
            "    tenants: [northwind]",
            '    tenants: [northwind]\n    webhooks: [{name: w, url: "file:///etc/passwd"}]',
            "11: clients[0].webhooks[0].url: is no URL that can be called: it must be https or "
            "http://HOST/…, without a #",
        ),
        (
            "    tenants: [northwind]",
            "    tenants: [northwind]\n"
            '    webhooks: [{name: w, url: "https://a.b/"}, {name: w, url: "https://c.d/"}]',
            '8: clients[0]: has two webhooks "w"; give one of them another name',
        ),
        (
            "    tenants: [northwind]",
            "    tenants: [northwind]\n    webhooks:\n"
            '      - {name: v, url: "https://a.b/", default: true}\n'
            '      - {name: w, url: "https://a.b/", default: true}',
            "8: clients[0]: has 2 default webhooks; there can be one only",
        ),
        (
            "kind: ducklake",
            "kind: ducklak",
            '13: sources[0].kind: "ducklak" is none of ducklake, postgresql, duckdb, parquet, '
            "delta or athena",
        ),
        (
            "options: {catalog:",
            "options: {catalogue:",
            '12: sources[0]: a ducklake source has no option "catalogue"; did you mean "catalog"?',
        ),
        (
            "    kind: ducklake",
            "    kind: duckdb",
            '12: sources[0]: a duckdb source has no option "catalog"; it has path',
        ),
        (
            '{catalog: "sqlite:${HOME_OF_LAKE}/c.sqlite"}',
            "{}",
            '12: sources[0]: a ducklake source needs the option "catalog": The catalog database: '
            "`postgres:DATABASE` (for workers and loaders on many machines), `sqlite:FILE` (in WAL "
            "mode, so that a loader can commit while an export reads) or `duckdb:FILE`.",
        ),
        (
            "${HOME_OF_LAKE}",
            "${HOME_OF_LAK}",
            "14: sources[0].options.catalog: ${HOME_OF_LAK} is not set: export it, or add --set "
            "HOME_OF_LAK=VALUE",
        ),
        (
            "client: integrator",
            "client: integrater",
            '17: configurations[0].client: there is no client "integrater"; did you mean '
            '"integrator"?',
        ),
        (
            "    source: hr\n",
            "    source: payroll\n",
            '20: configurations[0].source: there is no source "payroll"; declare it under sources',
        ),
        (
            "    tenant: northwind\n",
            "    tenant: harbour\n",
            '18: configurations[0].tenant: the client "integrator" does not serve the tenant '
            '"harbour"; add it to the client\'s tenants at c.yaml:8',
        ),
        (
            "        tenant_column: tenant_id\n",
            "",
            "22: configurations[0].tables[0]: says nothing of whose rows to hand out: add "
            "tenant_column, or rows, or all_rows: true if the table holds this tenant's rows only",
        ),
        (
            "        tenant_column: tenant_id\n",
            "        tenant_column: tenant_id\n        all_rows: true\n",
            "22: configurations[0].tables[0]: says all_rows: true and chooses rows as well; take "
            "one of them out",
        ),
        (
            "        tenant_column: tenant_id\n",
            "        rows:\n          - column: customer\n            values: []\n",
            "27: configurations[0].tables[0].rows[0].values: must not be empty",
        ),
        (
            "        tenant_column: tenant_id\n",
            "        rows:\n          - column: customer\n            values: [4, 1.5]\n",
            "27: configurations[0].tables[0].rows[0].values[1]: must be a text, a whole number, "
            "true or false",
        ),
        (
            "          - salary\n",
            "          - FirstName\n",
            '29: configurations[0].tables[0].columns[2]: the column "firstName" is there already; '
            "names that differ in case only are the same to many",
        ),
        (
            "          - salary\n",
            "          - id\n",
            '29: configurations[0].tables[0].columns[2]: the column "id" is there already',
        ),
        (
            "          - salary\n",
            "          - 7\n",
            "29: configurations[0].tables[0].columns[2]: must be a set of keys with values, and is "
            "the number 7",
        ),
        (
            "primary_key: [id]",
            "primary_key: [first_name]",
            '24: configurations[0].tables[0].primary_key[0]: "first_name" is not among the '
            'columns; callers see it as "firstName", so write that',
        ),
        (
            "primary_key: [id]",
            "primary_key: [id, number]",
            '24: configurations[0].tables[0].primary_key[1]: "number" is not among the columns; '
            "add it to the columns",
        ),
        (
            "name: firstName",
            "name: _Change",
            '28: configurations[0].tables[0].columns[1]: "_Change" is what increments say in what '
            "happened to a row; give callers another name, as {source: …, name: …}",
        ),
        (
            "          - salary\n",
            "          - _change\n",
            '29: configurations[0].tables[0].columns[2]: "_change" is what increments say in what '
            "happened to a row; give callers another name, as {source: …, name: …}",
        ),
        (
            "    tenants: [northwind]\n",
            "    tenants: [northwind]\n    tls_client_auth_subject_dn: exports of Acme\n",
            '11: clients[0].tls_client_auth_subject_dn: "exports of Acme" is no distinguished '
            'name; write it as in "CN=exports,O=Acme,C=NL"',
        ),
        (
            "    default: true\n",
            "    resync: documents\n",
            '19: configurations[0].resync: "documents" is none of refuse or document',
        ),
        (
            "    default: true\n",
            "    default: yes please\n",
            '19: configurations[0].default: must be true or false, and is the text "yes please"',
        ),
        (
            "    name: Northwind\n",
            "    name: Northwind\n    name: Nordwind\n",
            '3: tenants[0]: the key "name" stands here more than once',
        ),
        *(
            (
                "    name: Northwind\n",
                f"    name: Northwind\n    {written}\n",
                f"4: tenants[0].{said}",
            )
            for written, said in (
                (
                    "application_version: 2019.2603",
                    "application_version: must be a text, and is the number 2019.2603; put it in "
                    "quotes",
                ),
                (
                    'application_version: "2019"',
                    'application_version: "2019" is no version; write it as in "2019.2603"',
                ),
                (
                    "organization_id: northwind",
                    'organization_id: "northwind" is no UUID; write it as in '
                    '"5f1c1b9e-4a0e-4d3b-9a55-0a3b1f6f2c11"',
                ),
                ("region: aue", 'region: there is no region "aue"; declare it under regions'),
                (
                    "profile_url: https://hub.example/profiles",
                    "profile_url: must hold {profileId} once, where the profile's id stands",
                ),
                (
                    'profile_url: "https://hub.example/{tenant}/{profileId}"',
                    "profile_url: must hold {profileId} once, where the profile's id stands",
                ),
                (
                    'profile_url: "https://{profileId}.example/"',
                    "profile_url: must not have {profileId} in its host",
                ),
                (
                    'profile_url: "http://hub.example/{profileId}"',
                    "profile_url: must be https: what goes by http can be read and changed on its "
                    "way",
                ),
                (
                    'profile_url: "http://localhost/{profileId}"',
                    "profile_url: must be https; http is for a platform on this machine (--local)",
                ),
            )
        ),
        (
            "    tenants: [northwind]\n",
            "    tenants: [northwind]\n    profile_groups: []\n",
            "11: clients[0].profile_groups: must not be empty",
        ),
    ],
)
def test_each_mistake_is_named_with_its_line_and_what_to_do(old: str, new: str, said: str) -> None:
    assert said in problems(changed(old, new))


@pytest.mark.abuse(132)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("n" * 64, "is 64 bytes long; at most 63 are allowed"),
        ("é" * 32, "is 64 bytes long; at most 63 are allowed"),
        ("two\\nlines", "holds a control character or line break; take it out"),
        ("nul\\0", "holds a control character or line break; take it out"),
        ("line\\u2028separator", "holds a control character or line break; take it out"),
        (" blank before", "begins or ends with a blank; take it out"),
        ("", "must not be empty"),
    ],
)
def test_names_that_callers_could_not_use_are_refused(name: str, said: str) -> None:
    table = changed("- name: employees", f'- name: "{name}"')
    assert problems(table) == [f"22: configurations[0].tables[0].name: {said}"]
    column = changed("name: firstName", f'name: "{name}"')
    assert problems(column) == [f"28: configurations[0].tables[0].columns[1].name: {said}"]


@pytest.mark.abuse(132)
def test_a_long_name_of_the_source_needs_one_for_callers() -> None:
    long = "n" * 64
    assert problems(changed("          - salary\n", f"          - {long}\n")) == [
        "29: configurations[0].tables[0].columns[2]: the name is 64 bytes long, over 63: add a "
        "name for callers, as {source: …, name: …}"
    ]
    renamed = changed("          - salary\n", f"          - {{source: {long}, name: short}}\n")
    assert problems(renamed) == []


@pytest.mark.abuse(131)
def test_a_name_made_to_break_out_of_sql_is_a_name_like_any_other() -> None:
    odd = changed("          - salary\n", """          - '"a"; DROP TABLE x; --'\n""")
    assert problems(odd) == []


def test_what_is_declared_twice_is_named_with_the_first_place() -> None:
    twice = GOOD + GOOD.split("configurations:\n")[1].replace("default: true", "default: false")
    assert problems(twice) == [
        '30: configurations[1].id: the configuration "full" is declared already at c.yaml:16 for '
        "this tenant and client; give one of them another id"
    ]
    tenants = GOOD.replace("id: harbour", "id: northwind")
    assert problems(tenants) == [
        '5: tenants[1].id: the tenant "northwind" is declared already at c.yaml:2; take one of '
        "them out"
    ]


def test_there_is_one_default_per_tenant_and_client() -> None:
    another = GOOD.split("configurations:\n")[1].replace("id: full", "id: other")
    assert problems(GOOD + another) == [
        '33: configurations[1].default: "full" at c.yaml:16 is the default of this tenant and '
        "client already; there can be one only"
    ]
    assert problems(GOOD + another.replace("default: true", "default: false")) == []


def test_tables_of_a_configuration_have_names_and_files_of_their_own() -> None:
    table = GOOD[GOOD.index("      - name: employees") :]
    assert problems(GOOD + table) == [
        '30: configurations[0].tables[1].name: the table "employees" is there already'
    ]
    assert problems(GOOD + table.replace("name: employees", "name: Employees")) == [
        '30: configurations[0].tables[1].name: the table "employees" is there already; names that '
        "differ in case only are the same to many"
    ]
    odd = GOOD.replace("name: employees", "name: our people") + table.replace(
        "name: employees", "name: our/people"
    )
    assert problems(odd) == [
        '30: configurations[0].tables[1].name: its file would be named as that of "our people"; '
        "give one of them another name"
    ]


def test_all_problems_are_found_at_once() -> None:
    bad = (
        GOOD.replace("Europe/Amsterdam", "Nowhere")
        .replace("tenants: [northwind]", "tenants: [nobody]")
        .replace("kind: ducklake", "kind: oracle")
        .replace("primary_key: [id]", "primary_key: [nothing]")
    )
    lines = [int(problem.split(":")[0]) for problem in problems(bad)]
    assert set(lines) == {4, 10, 13, 18, 24}


def test_a_broken_entry_is_not_reported_again_as_unknown() -> None:
    """The client names the tenant whose time zone is wrong: that is one mistake, not two."""
    assert len(problems(changed("Europe/Amsterdam", "Nowhere"))) == 1
    assert len(problems(changed("kind: ducklake", "kind: oracle"))) == 1


def test_shared_tables_are_written_once_and_their_problems_said_once_each_use() -> None:
    shared = GOOD.replace("    tables:\n", "    tables: &tables\n").replace("- salary", "- id")
    shared += (
        "  - {id: again, client: integrator, tenant: northwind, source: hr, tables: *tables}\n"
    )
    assert problems(shared) == [
        '29: configurations[0].tables[0].columns[2]: the column "id" is there already',
        '29: configurations[1].tables[0].columns[2]: the column "id" is there already',
    ]


def test_merged_keys_count_as_written() -> None:
    merged = GOOD.replace("  - id: harbour\n    name: Harbour\n", "  - <<: *n\n    id: harbour\n")
    merged = merged.replace("  - id: northwind\n", "  - &n\n    id: northwind\n")
    assert problems(merged) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tenants: [", "1: not valid YAML: while parsing a flow node"),
        ("tenants:\n\t- id: x", "2: not valid YAML: while scanning for the next token"),
        ("a: 1\n---\nb: 2", "2: not valid YAML: expected a single document"),
        ("tenants: *nobody", "1: not valid YAML: found undefined alias"),
        ("- tenants", "1: must have keys, among tenants, clients, sources, configurations"),
        ("tenants: northwind", "1: tenants: must be a list of tenants, each begun by a hyphen"),
        ("tenants:\n  - northwind", "2: tenants[0]: must be a set of keys with values"),
        ("tenants:\n  - id: \x07", "2: the character U+0007 is not allowed in YAML"),
        ("tenants: !!python/object:os.system x", "1: tenants: cannot be read"),
        ("tenants: 2026-13-45", "1: tenants: cannot be read: month must be in 1..12"),
        ("? [a]\n: 1", "1: a key must be a plain text"),
        ("tenants: &a\n  - *a", "1: tenants[0]: an alias that contains itself"),
    ],
)
def test_what_is_no_catalog_at_all_is_said_too(text: str, said: str) -> None:
    assert any(problem.startswith(said) for problem in problems(text)), problems(text)


def test_aliases_that_multiply_do_not_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert any("too many of them" in problem for problem in problems("\n".join(lines)))


def test_empty_files_and_sections_are_harmless() -> None:
    assert problems("") == []
    assert problems("# nothing yet\n") == []
    assert problems("tenants:\nclients: []\n") == []


def test_variables_are_put_in_where_they_stand() -> None:
    text = changed("name: Northwind\n", 'name: "${A}-${B}, $${A}, $A, ${A}"\n')
    declared = read_declarations(
        [CatalogText("c.yaml", text)], {"A": "x", "B": "${A}", "HOME_OF_LAKE": "/"}
    )
    assert declared.tenants[0].entry.name == "x-${A}, ${A}, $A, x"


def test_a_variable_cannot_smuggle_structure_in() -> None:
    text = changed("name: Northwind\n", 'name: "${A}"\n')
    declared = read_declarations(
        [CatalogText("c.yaml", text)], {"A": "x\nid: harbour", "HOME_OF_LAKE": "/"}
    )
    assert declared.tenants[0].entry.name == "x\nid: harbour"
    assert declared.tenants[0].entry.id == "northwind"


def test_what_is_no_variable_name_is_said() -> None:
    assert problems(changed("name: Northwind", 'name: "${1+1}"')) == [
        "3: tenants[0].name: ${1+1} names no variable; write $${1+1} for it"
    ]


# --- files ----------------------------------------------------------------------------------


def test_all_files_of_a_folder_make_one_catalog(tmp_path: Path) -> None:
    head, tail = GOOD.split("configurations:\n")
    (tmp_path / "base.yaml").write_text(head)
    (tmp_path / "by-tenant").mkdir()
    (tmp_path / "by-tenant" / "northwind.yml").write_text("configurations:\n" + tail)
    (tmp_path / "README.md").write_text("not: yaml: at all")
    texts = read_folder(tmp_path)
    declared = read_declarations(texts, {"HOME_OF_LAKE": "/"})
    assert declared.problems == []
    assert [item.file.name for item in declared.configurations] == [
        str(tmp_path / "by-tenant" / "northwind.yml")
    ]


def test_one_file_is_a_catalog_too(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_declarations(read_folder(path), {"HOME_OF_LAKE": "/"}).problems == []


@pytest.mark.parametrize("name", ["nothing-here", "."])
def test_without_files_there_is_nothing_to_check(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogRefused, match=r"no \.yaml file|no such folder"):
        read_folder(tmp_path / name)


def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("tenants:\n  - name: Café\n".encode("latin-1"))
    with pytest.raises(CatalogRefused, match=r"latin\.yaml:2: not UTF-8"):
        read_folder(tmp_path)


# --- schedules ------------------------------------------------------------------------------

SCHEDULE = """\
schedules:
  - name: nightly
    client: integrator
    tenant: northwind
    configuration: full
    cron: "0 2 * * *"
"""


def test_a_schedule_has_defaults() -> None:
    variables = {"HOME_OF_LAKE": "/lake"}
    declared = read_declarations([CatalogText("c.yaml", GOOD + SCHEDULE)], variables)
    assert declared.problems == []
    [schedule] = declared.schedules
    entry = schedule.entry
    assert (entry.kind, entry.file_format, entry.compression) == ("full", "csv", "none")
    assert (entry.time_zone, entry.entity, entry.enabled) == (None, None, True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"0 2 * * *"', '"0 25 * * *"', 'schedules[0].cron: "25" is no hour: 0 to 23'),
        ('"0 2 * * *"', '"0 0 31 2 *"', "schedules[0].cron: is never due: no such day comes"),
        (
            '"0 2 * * *"',
            '"@daily"',
            "schedules[0].cron: must have five fields: minute, hour, day of the month, month, day "
            "of the week",
        ),
        (
            "client: integrator",
            "client: integratr",
            'schedules[0].client: there is no client "integratr"; did you mean "integrator"?',
        ),
        (
            "tenant: northwind",
            "tenant: nortwind",
            'schedules[0].tenant: there is no tenant "nortwind"; did you mean "northwind"?',
        ),
        (
            "configuration: full",
            "configuration: ful",
            'schedules[0].configuration: there is no configuration "ful"; did you mean "full"?',
        ),
        (
            "tenant: northwind",
            "tenant: harbour",
            'schedules[0].configuration: the client "integrator" has no configuration "full" for '
            'the tenant "harbour"',
        ),
        (
            "configuration: full",
            "configuration: full\n    entity: employes",
            'schedules[0].entity: the configuration "full" has no table "employes"; did you mean '
            '"employees"?',
        ),
        (
            "configuration: full",
            "configuration: full\n    time_zone: Amsterdam",
            'schedules[0].time_zone: there is no time zone "Amsterdam"; did you mean',
        ),
        (
            "configuration: full",
            "configuration: full\n    kind: delta",
            'schedules[0].kind: "delta" is none of full or incremental',
        ),
        (
            "configuration: full",
            "configuration: full\n    file_format: xml",
            'schedules[0].file_format: "xml" is none of csv, json, ndjson or parquet',
        ),
        ("name: nightly", "name: a#b", "schedules[0].name: must be 1 to 64 letters"),
    ],
)
def test_each_mistake_in_a_schedule_is_named(old: str, new: str, said: str) -> None:
    assert old in SCHEDULE
    found = problems(GOOD + SCHEDULE.replace(old, new, 1))
    assert any(said in problem for problem in found), found


def test_an_incremental_schedule_needs_a_key_of_every_table_that_it_exports() -> None:
    keyless = GOOD.replace("        primary_key: [id]\n", "")
    assert keyless != GOOD
    incremental = SCHEDULE + "    kind: incremental\n"
    assert problems(GOOD + incremental) == []
    assert problems(keyless + SCHEDULE) == []
    [problem] = problems(keyless + incremental)
    assert 'the table "employees" has no primary_key, so there are no increments of it' in problem
    documents = keyless.replace("    default: true\n", "    default: true\n    resync: document\n")
    assert problems(documents + incremental) == []


def test_a_schedule_names_a_webhook_of_its_client() -> None:
    hooked = SCHEDULE + "    webhook: ends\n"
    assert [problem.partition(": ")[2] for problem in problems(GOOD + hooked)] == [
        'schedules[0].webhook: the client "integrator" has no webhook "ends"; add it to the '
        "client's webhooks"
    ]
    webhooks = "    webhooks: [{name: ends, url: https://hooks.bureau.example/}]\n"
    tenants = "    tenants: [northwind]\n"
    assert problems(GOOD.replace(tenants, tenants + webhooks) + hooked) == []


def test_two_schedules_of_a_client_have_names_of_their_own() -> None:
    again = SCHEDULE + SCHEDULE.split("schedules:\n")[1]
    [problem] = problems(GOOD + again)
    assert 'the schedule "nightly" is declared already' in problem
    assert "for this tenant and client; give one of them another name" in problem


def test_no_client_stands_for_the_persons_who_log_in() -> None:
    user = GOOD.replace("- id: integrator", "- id: user").replace(
        "client: integrator", "client: user"
    )
    [problem] = problems(user)
    assert '"user" stands for the persons who log in; take another id' in problem
    assert (
        problems(user.replace("id: user", "id: User").replace("client: user", "client: User")) == []
    )


def test_a_client_has_no_scope_that_is_for_persons_alone() -> None:
    tenants = "    tenants: [northwind]\n"
    shared = set(Permission) - {Permission.MANAGE_SERVICES, Permission.READ_STATISTICS}
    for permission in shared:
        assert not problems(changed(tenants, f'{tenants}    scopes: ["{permission.scope}"]\n'))
    for permission in set(Permission) - shared:
        scopes = f'    scopes: ["{permission.scope}"]\n'
        [problem] = problems(changed(tenants, tenants + scopes))
        assert f'there is no scope "{permission.scope}"' in problem


REGIONS = """
regions:
  - {id: aue, base_url: "https://aue.example/v1/"}
"""
ORGANIZATION = "5f1c1b9e-4a0e-4d3b-9a55-0a3b1f6f2c11"


def test_a_tenant_lives_in_a_region_that_is_declared() -> None:
    text = changed("    name: Northwind\n", "    name: Northwind\n    region: aue\n") + REGIONS
    declared = read_declarations([CatalogText("c.yaml", text)], {"HOME_OF_LAKE": "/lake"})
    assert not declared.problems
    assert [one.entry.base_url for one in declared.regions] == ["https://aue.example/v1"]
    assert declared.tenants[0].entry.region == "aue"


def test_two_tenants_have_ids_of_their_own_as_organisations_however_they_are_written() -> None:
    one = f"    name: Northwind\n    organization_id: {ORGANIZATION}\n"
    other = f"    name: Harbour\n    organization_id: {ORGANIZATION.upper()}\n"
    twice = changed("    name: Northwind\n", one).replace("    name: Harbour\n", other)
    [problem] = problems(twice)
    assert 'tenants[1].organization_id: the tenant "northwind" at c.yaml:2 has it' in problem
