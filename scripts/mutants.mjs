// The faults that scripts/mutate.mjs plants: generic ones, found in the syntax tree of a TypeScript source.
import { parseAst } from "vitest/node";

const SWAPPED = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "&&": "||",
  "||": "&&",
  "+=": "-=",
  "-=": "+=",
};

/** What a message says is not tested word by word, and types are not run. */
const SKIPPED = /^(ThrowStatement|TemplateLiteral|ImportDeclaration|Decorator|TS(?!AsExpression|NonNull|Satisfies))/;

const isNode = (value) => typeof value === "object" && value !== null && typeof value.type === "string";

/** Each is `{ start, end, from, to, at, line }`: what stands there, what comes in its place, the line's number and text. */
export function mutantsOf(source) {
  const found = [];
  const plant = (start, end, to) => {
    const lineStart = source.lastIndexOf("\n", start) + 1;
    const line = source.slice(lineStart, source.indexOf("\n", start)).trim();
    const from = source.slice(start, end);
    const at = source.slice(0, start).split("\n").length;
    found.push({ start, end, from: from.length > 60 ? `${from.slice(0, 60)}…` : from, to, at, line });
  };
  const text = (node) => source.slice(node.start, node.end);
  const visit = (node) => {
    if (SKIPPED.test(node.type)) return;
    for (const [start, end, to] of faultsIn(node, source, text)) plant(start, end, to);
    for (const value of Object.values(node)) for (const child of [value].flat()) if (isNode(child)) visit(child);
  };
  visit(parseAst(source, { lang: "ts" }));
  return found;
}

/** `[start, end, replacement]` for each fault of one node. */
function faultsIn(node, source, text) {
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression":
    case "AssignmentExpression":
      return operatorFaults(node, source, text);
    case "IfStatement":
      return ifFaults(node);
    case "ConditionalExpression":
      return [
        [node.start, node.end, `(${text(node.consequent)})`],
        [node.start, node.end, `(${text(node.alternate)})`],
      ];
    case "ExpressionStatement":
      return node.directive || node.expression.type === "AssignmentExpression" ? [] : [[node.start, node.end, ";"]];
    case "Literal":
      if (typeof node.value === "number") return [[node.start, node.end, String(node.value + 1)]];
      return typeof node.value === "boolean" ? [[node.start, node.end, String(!node.value)]] : [];
    case "CallExpression":
      return callFaults(node);
    default:
      return [];
  }
}

function operatorFaults({ operator, left, right, start, end }, source, text) {
  if (operator === "??") return [[start, end, text(right)]];
  const to = SWAPPED[operator];
  const isText = [left, right].some((side) => side.type === "TemplateLiteral" || typeof side.value === "string");
  if (to === undefined || (isText && "+-".includes(operator[0]))) return [];
  const at = source.indexOf(operator, left.end);
  return [[at, at + operator.length, to]];
}

/** A condition that holds always or never; the second takes a guard away. */
const ifFaults = ({ test }) => [
  [test.start, test.end, "true"],
  [test.start, test.end, "false"],
];

/** A filter or an order that is left out. */
function callFaults({ callee, end }) {
  const dropped = ["filter", "sort", "reverse", "slice"];
  if (callee.type !== "MemberExpression" || !dropped.includes(callee.property.name)) return [];
  return [[callee.object.end, end, ""]];
}
