"""`tweeter keyword …` and `tweeter posts`: what they print, and how they fail."""

import json

import pytest

from tests.commands.conftest import Person, follow
from tests.store.posts import AT, post, store
from tweeter.store import keywords
from tweeter.views.show import exact


def test_flags_are_kept_and_what_an_edit_does_not_name_stays(person: Person) -> None:
    (row,) = person.json(
        "keyword", "add", "storm", "--network", "x", "--day-budget", "500", "--keep-days", "30"
    )
    assert (row["networks"], row["day_budget"], row["keep_days"]) == ("x", 500, 30)
    (edited,) = person.json("keyword", "edit", str(row["id"]), "--month-budget", "9000")
    assert (edited["expression"], edited["networks"], edited["version"]) == ("storm", "x", 1)
    assert (edited["day_budget"], edited["month_budget"]) == (500, 9000)
    (wider,) = person.json("keyword", "edit", str(row["id"]), "storm*", "--network", "all")
    assert (wider["networks"], wider["version"], wider["day_budget"]) == ("", 2, 500)
    nothing = person.run("keyword", "edit", str(row["id"]))
    assert (nothing.exit_code, "Nothing to change" in nothing.stderr) == (2, True)


def test_a_syntax_error_points_at_the_character_or_is_a_problem_document(person: Person) -> None:
    shown = person.run("keyword", "add", "storm OR (flood")
    assert shown.exit_code == 2
    caret = shown.stderr.splitlines()[1]
    assert caret == "  " + " " * 9 + "^"
    for words in (("add",), ("preview",)):
        result = person.run("keyword", *words, "storm OR (flood", "--json")
        problem = json.loads(result.stderr)
        assert (problem["code"], problem["position"]) == ("keyword_syntax", 9)
        assert (result.exit_code, result.stdout) == (2, "")


def test_what_is_not_there_ends_with_7(person: Person) -> None:
    for words in (
        ("keyword", "show", "9"),
        ("keyword", "pause", "9"),
        ("posts", "--keyword", "9"),
        ("tail", "--keyword", "9"),
        ("gaps", "list", "--keyword", "9"),
        ("gaps", "list", "--stream", "none"),
        ("quarantine", "list", "--stream", "none"),
        ("annotation", "list", "--keyword", "9"),
        ("source", "check", "none"),
    ):
        result = person.run(*words)
        assert result.exit_code == 7, words
        assert result.stderr.startswith("There is no "), words


@pytest.mark.parametrize("words", [("posts",), ("annotation", "list")])
def test_a_range_that_ends_before_it_begins_is_refused(
    words: tuple[str, ...], person: Person
) -> None:
    result = person.run(*words, "--since", "1d", "--until", "2d")
    assert (result.exit_code, result.stderr) == (2, "The range ends before it begins.\n")
    assert person.run(*words, "--since", "2d", "--until", "1d").exit_code == 0


def test_totals_say_how_much_was_covered(person: Person) -> None:
    row = keywords.add(person.engine, "storm")
    lease = follow(person.engine, gap_s=(60, 120))
    store(person.engine, lease, post(1), post(200_000_000))
    until = exact(AT + 240 * 1_000_000)
    assert until is not None
    result = person.run(
        "posts", "--keyword", str(row.id), "--since", str(exact(AT)), "--until", until, "--json"
    )
    assert [json.loads(line)["post_id"] for line in result.stdout.splitlines()] == [
        "200000000",
        "1",
    ]
    assert result.stderr == "≥ 2 posts, 75.0 % covered.\n"
    bounded = person.run(
        "posts",
        "--keyword",
        str(row.id),
        "--since",
        str(exact(AT)),
        "--until",
        str(exact(AT + 60_000_000)),
    )
    assert bounded.stderr == "1 post.\n"
    assert len(bounded.stdout.splitlines()) == 1
    assert "≥ 2 posts, " in person.run("keyword", "list").stdout
    (listed,) = person.json("keyword", "list")
    (shown,) = person.json("keyword", "show", str(row.id))
    assert 0 < listed["covered"] < 1
    assert shown["figure"].startswith("≥ 2 posts, ")
    assert 0 < shown["covered"] < 1
    assert "% covered" in person.run("keyword", "show", str(row.id)).stdout


def test_show_names_networks_budgets_and_what_holds_it(person: Person) -> None:
    (row,) = person.json("keyword", "add", "storm", "--network", "x", "--day-budget", "5")
    shown = person.run("keyword", "show", str(row["id"])).stdout
    assert "networks  x" in shown
    assert "0 read today of 5" in shown
    assert "X has not taken the keyword's rule yet." in shown


def test_preview_tells_what_would_be_found_and_what_each_network_does(person: Person) -> None:
    keywords.add(person.engine, "storm")
    lease = follow(person.engine)
    store(person.engine, lease, post(1, "a storm"), post(2, "a storm and a flood"), post(3, "sun"))
    text = person.run("keyword", "preview", "storm AND flood").stdout
    assert "1 of the newest 3 stored posts (33.3 %)" in text
    assert "near miss bluesky  a storm  (without flood)" in text
    assert "x         off" in text
    (found,) = person.json("keyword", "preview", "storm", "--network", "bluesky")
    assert found["preview"]["found"] == 2
    assert found["preview"]["twin"] == 1
    assert {line["network"]: line["verdict"] for line in found["networks"]}["x"] == "off"
    assert [row.expression for row in keywords.list_all(person.engine)] == ["storm"]


def test_an_import_gives_a_verdict_a_line(person: Person) -> None:
    keywords.add(person.engine, "known")
    text = "# a remark\nstorm\n(flood\nknown\n STORM \n#tag\n"
    dry = person.run("keyword", "import", "-", "--dry-run", given=text)
    assert (dry.exit_code, "Nothing was changed" in dry.stderr) == (2, True)
    assert person.run("keyword", "import", "-", "--all-or-none", given=text).exit_code == 2
    assert len(keywords.list_all(person.engine)) == 1
    result = person.run("keyword", "import", "-", "--json", given=text)
    assert result.exit_code == 6
    verdicts = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(v["line"], v["verdict"]) for v in verdicts] == [
        (2, "good"),
        (3, "wrong"),
        (4, "known"),
        (5, "twice"),
        (6, "good"),
    ]
    assert [v["id"] for v in verdicts] == [2, None, None, None, 3]
    assert verdicts[1]["position"] == 0
    csv = 'expression,networks\n"""night train""",x bluesky\n'
    assert person.json("keyword", "import", "-", given=csv)[0]["networks"] == ["x", "bluesky"]


def test_the_columns_of_a_csv_may_be_named_in_quotes_and_in_any_order(person: Person) -> None:
    for number, csv in enumerate(
        (
            '"expression","networks"\r\n"storm%d","x bluesky"\r\n',
            "\ufeffExpression , NETWORKS\nstorm%d,x bluesky\n",
            'networks,expression,note\n"x bluesky",storm%d,"a, b"\n',
            '"expression", "networks"\nstorm%d,x bluesky\n',
            "expression;networks\r\nstorm%d;x bluesky\r\n",
            '\ufeff"expression";"networks";"note"\nstorm%d;"x bluesky";"a, b"\n',
            "Networks; Expression\nx bluesky;storm%d\n",
            "expression\tnetworks\rstorm%d\tx bluesky\r",
            "note\tnetworks\texpression\n\tx bluesky\tstorm%d\n",
        )
    ):
        (found,) = person.json("keyword", "import", "-", given=csv % number)
        assert (found["expression"], found["networks"]) == (f"storm{number}", ["x", "bluesky"])
    (alone,) = person.json("keyword", "import", "-", given='"expression"\nflood\n')
    assert alone["expression"] == "flood"
    (whole,) = person.json("keyword", "import", "-", given="expression\nrain, hail; snow\n")
    assert whole["expression"] == "rain, hail; snow"
    for lines in ("expression", '"expression" storm\nsea', "storm, expression\nfog", "ice; hut"):
        found = person.json("keyword", "import", "-", given=lines)
        assert [one["expression"] for one in found] == lines.splitlines()


def test_one_of_a_thing_is_not_counted_as_several(person: Person) -> None:
    done = person.run("keyword", "import", "-", given="storm\n")
    assert done.stderr == "1 line: 1 good, 0 wrong. 1 keyword added.\n"
    assert person.run("keyword", "edit", "1", "--keep-days", "1").exit_code == 0
    assert "kept      1 day\n" in person.run("keyword", "show", "1").stdout


def test_a_keyword_that_there_is_not_comes_with_the_command_that_lists_them(
    person: Person,
) -> None:
    done = person.run("keyword", "show", "9999")
    words = "There is no keyword 9999. List them: python -m tweeter keyword list\n"
    assert (done.exit_code, done.stderr) == (7, words)


def test_only_the_ends_of_lines_end_a_line(person: Person) -> None:
    given = "red sky\u2028at night\nblue\x85sea\rgrey\x0bday\r\nfog\n"
    found = person.json("keyword", "import", "-", given=given)
    assert [(one["line"], one["verdict"]) for one in found] == [(n, "good") for n in range(1, 5)]
    assert keywords.get(person.engine, found[0]["id"]).expression == "red sky\u2028at night"


def test_an_import_takes_ten_thousand_lines_and_no_more(person: Person) -> None:
    lines = "\n".join(f"word{n}" for n in range(10_000))
    done = person.run("keyword", "import", "-", given=lines)
    assert (done.exit_code, "10,000 keywords added" in done.stderr) == (0, True)
    more = person.run("keyword", "import", "-", given=f"{lines}\nmore")
    assert (more.exit_code, "at most 10,000" in more.stderr) == (2, True)
    assert person.run("keyword", "import", "-", given=b"\xff\xfe").exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        "keyword show",
        "keyword pause",
        "keyword rm",
        "stats",
        "annotation remove",
        "posts --keyword",
        "tail --keyword",
        "gaps list --keyword",
        "annotation list --keyword",
        "keyword preview storm --keyword",
    ],
)
def test_a_number_larger_than_any_is_refused(person: Person, words: str) -> None:
    result = person.run(*words.split(), str(1 << 63))
    assert result.exit_code == 2
    assert "There is no such number." in result.stderr


def test_lines_that_cannot_be_read_are_what_is_wrong(person: Person) -> None:
    result = person.run("keyword", "import", "-", "--json", given=b"storm\xff")
    problem = json.loads(result.stderr)
    assert (result.exit_code, problem["code"], problem["status"]) == (2, "bad_lines", 422)
    table = 'expression,networks\nrain,\n"storm,x\nharbour,x\n'
    result = person.run("keyword", "import", "-", given=table)
    assert result.exit_code == 2
    assert "What begins in line 3 is no CSV" in result.stderr
    assert not keywords.list_all(person.engine)


def test_a_row_with_more_cells_than_columns_is_wrong_and_the_others_are_added(
    person: Person,
) -> None:
    table = "expression,networks\nrain,,snow\nhail, x ,,\n,,ice\n# one, two, three\nfog,x,bluesky\n"
    done = person.run("keyword", "import", "-", given=table)
    assert done.exit_code == 6
    rows = done.stdout.splitlines()
    assert [row.split()[:2] for row in rows] == [
        ["2", "wrong"],
        ["3", "good"],
        ["4", "wrong"],
        ["6", "wrong"],
    ]
    assert "There are 3 cells, but the first line names 2." in rows[0]
    assert [row.expression for row in keywords.list_all(person.engine)] == ["hail"]


def test_a_line_that_is_too_long_has_its_verdict_and_a_doubtful_one_a_warning(
    person: Person,
) -> None:
    table = f"expression,networks\nrain,x\n{'a' * 140_000},x\n"
    first = person.run("keyword", "import", "-", "--dry-run", "--json", given=table)
    assert [json.loads(line)["verdict"] for line in first.stdout.splitlines()] == ["good", "wrong"]
    for mark in ",;\t":
        given = f"new one{mark}bluesky\n"
        (line,) = person.json("keyword", "import", "-", "--dry-run", given=given)
        assert line["verdict"] == "good"
        assert f"begin with the line expression{mark}networks." in line["words"]
