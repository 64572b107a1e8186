"""Every public name is documented the numpydoc way: what it takes, gives back and raises, with shapes and units."""

import ast
import importlib
import inspect
import pkgutil

import pytest
from numpydoc.validate import validate

import churnml

# Extended summaries, "See Also" and examples are written where they help, not everywhere.
NOT_ASKED = {"ES01", "SA01", "EX01", "GL01", "GL02", "GL03", "SS06", "RT02", "YD01"}
# Inside the rooms one line may be enough; as soon as there are sections, they are complete.
NOT_ASKED_OF_ONE_LINERS = {"PR01", "RT01"}


def public_names():
    for module in pkgutil.walk_packages(churnml.__path__, "churnml."):
        loaded = importlib.import_module(module.name)
        for name, thing in vars(loaded).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.name:
                continue
            if inspect.isfunction(thing):
                yield f"{module.name}.{name}"
            elif inspect.isclass(thing):
                yield f"{module.name}.{name}"
                for method, inner in vars(thing).items():
                    if not method.startswith("_") and (inspect.isfunction(inner) or isinstance(inner, property)):
                        yield f"{module.name}.{name}.{method}"


def problems(name, ignored):
    return [(code, text) for code, text in validate(name)["errors"] if code not in ignored]


@pytest.mark.parametrize("name", [name for name in churnml.__all__ if name != "load_config"])
def test_what_users_call_is_documented_in_full(name):
    assert not problems(f"{getattr(churnml, name).__module__}.{name}", NOT_ASKED)


@pytest.mark.parametrize("name", list(public_names()))
def test_what_is_documented_is_documented_rightly(name):
    short = "Parameters\n---" not in (inspect.getdoc(pkgutil.resolve_name(name)) or "")
    assert not problems(name, NOT_ASKED | (NOT_ASKED_OF_ONE_LINERS if short else set()))


def test_what_raises_says_so():
    """A function that raises a ChurnmlError itself names it in its docstring."""
    silent = []
    for module in pkgutil.walk_packages(churnml.__path__, "churnml."):
        source = inspect.getsource(importlib.import_module(module.name))
        for node in ast.parse(source).body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            raises = [part for part in ast.walk(node) if isinstance(part, ast.Raise) and part.exc is not None]
            if raises and "Raise" not in (ast.get_docstring(node) or ""):
                silent.append(f"{module.name}.{node.name}")
    assert not silent
