"""Values come into pages as Jinja itself writes them."""

from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from jinja2.compiler import CodeGenerator
from jinja2.runtime import Context
from markupsafe import Markup, escape

from tweeter.texts import counted, say
from tweeter.views.output import written
from tweeter.views.words import told


@given(st.text() | st.integers() | st.none() | st.booleans() | st.floats() | st.text().map(Markup))
def test_what_is_written_is_what_is_told_and_escaped(value: Any) -> None:
    assert str(written(value)) == str(escape(told(value)))


def test_templates_write_the_same_as_those_that_jinja_compiles(app: Flask) -> None:
    values = {
        "text": "<b> & 'c' \"d\"",
        "markup": Markup("<i>"),
        "sentence": say("“%(name)s” & more", name="<x>"),
        "posts": counted("%(count)s post", "%(count)s posts", 1200),
        "numbers": [0, 1.5, None, True],
    }
    source = (
        "{{ text }} {{ markup }} {{ sentence }} {{ posts }} {{ missing }} {{ text|upper }}"
        '{% for one in numbers %}{{ one }} {% endfor %}{{ _("100 %% of %(what)s", what=text) }}'
        '{{ ngettext("%(num)s post", "%(num)s posts", 2) }}'
        "{% macro m(x) %}<u>{{ x }}</u>{% endmacro %}"
        "{{ m(text) }}{% set block %}<s>{{ text }}</s>{% endset %}{{ block }}"
        "{% for one in numbers %}{{ m(x=one) }}{{ namespace(n=one).n }}{{ outside(text, one) }}"
        "{% endfor %}{% block b %}{{ m('>') }}{{ _('<') }}{% endblock %}"
    )
    with app.test_request_context():
        ours = app.jinja_env.from_string(source).render(values)
        app.jinja_env.code_generator_class = CodeGenerator
        app.jinja_env.context_class = Context
        theirs = app.jinja_env.from_string(source).render(values)
    assert ours == theirs
    assert "<b>" not in ours
    assert "100 % of &lt;b&gt; &amp;" in ours


@pytest.mark.parametrize("name", ["_output_child_pre", "_output_child_post"])
def test_jinja_still_has_what_is_changed(name: str) -> None:
    assert hasattr(CodeGenerator, name)
