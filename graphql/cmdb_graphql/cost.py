"""What an operation will cost by estimate, in items touched, before it runs.

The estimate is the number of objects the answer can hold: one for each object, times the page size of every paged list
above it. Fixed rules, so that a client can work it out from the schema:

* a field with an argument `first` or `last` holds that many items: the literal, the variable, the schema's default, or
  `Limits.default_page_size`; each item costs 1 plus what is selected below it;
* a list of objects without such an argument counts as `Limits.unpaged_list_size` items, a single object as 1;
* scalars, introspection and the wrappers of a page (types named `...Connection`, `...Edge` and `PageInfo`, and what
  these hold) are free: the page has been counted at its field;
* `@skip` and `@include` are not looked at: the estimate is the upper bound.

A fragment is estimated once, in the order `limits.measure` found, so the work is linear in the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    value_from_ast_untyped,
)

from cmdb_graphql.limits import LimitExceeded, Limits, Measure

PAGE_ARGUMENTS: Final = ("first", "last")
"""Arguments that say how many items a field holds."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """`items`: objects the answer can hold. `fixed`: the same for all variables."""

    items: int
    fixed: bool


def estimate(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    measured: Measure,
    limits: Limits,
) -> Estimate:
    """The cost of an operation of a validated document, with the variables as they came (not yet coerced).

    Raises `LimitExceeded` for a page above `limits.page_size` or a total above `limits.cost`.
    """
    defaults = {
        definition.variable.name.value: value_from_ast_untyped(definition.default_value)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
    counting = _Counting(schema, {**defaults, **variables}, limits)
    root = schema.get_root_type(operation.operation)
    if measured.fragment_order:
        fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        for name in measured.fragment_order:
            fragment = fragments[name]
            type_ = schema.get_type(fragment.type_condition.name.value)
            counting.fragments[name] = counting.below(fragment.selection_set, type_)
    items = counting.below(operation.selection_set, root)
    if items > limits.cost:
        raise LimitExceeded("cost", limits.cost, items)
    return Estimate(items, counting.fixed)


@dataclass(slots=True)
class _Counting:
    schema: GraphQLSchema
    variables: Mapping[str, Any]
    limits: Limits
    fragments: dict[str, int] = field(default_factory=dict)
    fixed: bool = True

    def below(self, selections: SelectionSetNode, parent: object) -> int:
        """Items selected below one object of type `parent`."""
        total = 0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                if node.selection_set is not None and isinstance(
                    parent, GraphQLObjectType | GraphQLInterfaceType
                ):
                    total += self._field(node, node.selection_set, parent)
            elif isinstance(node, FragmentSpreadNode):
                total += self.fragments.get(node.name.value, 0)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                type_ = self.schema.get_type(condition.name.value) if condition else parent
                total += self.below(node.selection_set, type_)
        return total

    def _field(
        self, node: FieldNode, selections: SelectionSetNode, parent: GraphQLObjectType | GraphQLInterfaceType
    ) -> int:
        definition = parent.fields.get(node.name.value)
        if definition is None:  # `__schema` and `__type`: free, and bounded by limits of their own
            return 0
        named = get_named_type(definition.type)
        below = self.below(selections, named)
        size = self._page_size(node, definition)
        if size is not None:
            return size * (1 + below)
        if _is_wrapper(parent.name) or _is_wrapper(named.name):
            return below
        if is_list_type(get_nullable_type(definition.type)):
            return self.limits.unpaged_list_size * (1 + below)
        return 1 + below

    def _page_size(self, node: FieldNode, definition: GraphQLField) -> int | None:
        """Items of a paged field, or None if the field has no pages. A negative page is 0: the resolver refuses it."""
        sizes: list[int] = []
        paged = False
        for name in PAGE_ARGUMENTS:
            argument = definition.args.get(name)
            if argument is None:
                continue
            paged = True
            size = self._given(node, name)
            if size is None:
                default = argument.default.value if argument.default else argument.default_value
                size = default if isinstance(default, int) else None
            if size is None:
                continue
            if size > self.limits.page_size:
                raise LimitExceeded(
                    "page_size", self.limits.page_size, size, where=f" at {node.name.value}({name}:)"
                )
            sizes.append(max(0, size))
        if not paged:
            return None
        return max(sizes, default=self.limits.default_page_size)

    def _given(self, node: FieldNode, argument: str) -> int | None:
        for given in node.arguments or ():
            if given.name.value != argument:
                continue
            if isinstance(given.value, IntValueNode):
                return int(given.value.value)
            if isinstance(given.value, VariableNode):
                self.fixed = False
                value = self.variables.get(given.value.name.value)
                return value if isinstance(value, int) and not isinstance(value, bool) else None
        return None


def _is_wrapper(type_name: str) -> bool:
    return type_name.endswith(("Connection", "Edge")) or type_name == "PageInfo"
