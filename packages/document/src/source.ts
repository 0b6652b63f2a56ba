// SPDX-License-Identifier: Apache-2.0
import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type YAMLError,
} from 'yaml';

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** What YAML itself has to say against the text. */
export interface SourceError {
  /** Null when it is about the whole file. */
  readonly position: Position | null;
  readonly message: string;
}

/** A YAML text as data, with the place of everything in it. */
export interface Source {
  readonly data: unknown;
  readonly errors: readonly SourceError[];
  /**
   * Where the value at `path` stands, or its key. What is not there has the place of the mapping or list in which it is
   * missing; what stands behind an alias, that of the alias.
   */
  positionOf(path: readonly PropertyKey[], part?: 'value' | 'key'): Position;
}

/** Longer files are refused: the parser is not made for hostile input. */
export const TEXT_MAX = 1 << 20;

/** How often aliases may repeat what they name: a few lines of them can stand for gigabytes. */
const ALIAS_MAX = 100;

/** One missing bracket can make hundreds of errors. */
const ERRORS_MAX = 10;

/** YAML's own codes in our words; the rest keeps the parser's. */
const WORDS: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key stands here a second time; keep one of them',
  TAB_AS_INDENT: 'a tab cannot indent; use spaces',
  BAD_INDENT: 'the indentation does not fit the lines above; use the same number of spaces for each level',
  MULTIPLE_DOCS: 'a second document begins here; keep one, without `---` between',
  TAG_RESOLVE_FAILED: 'this tag is not known; write the value without it',
};

/** Reads YAML 1.2. Never throws. */
export function readSource(text: string): Source {
  if (text.length > TEXT_MAX) return failed(`the file is larger than ${String(TEXT_MAX)} bytes`);
  const lines = new LineCounter();
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      strict: true,
      uniqueKeys: true,
      logLevel: 'error',
    });
    const found = [...document.errors, ...document.warnings];
    const errors: SourceError[] = found.slice(0, ERRORS_MAX).map((error) => ({
      position: at(error.pos[0]),
      message: wordsFor(error),
    }));
    if (found.length === 0) errors.push(...unknownAliases(document, at));
    const more = found.length - errors.length;
    if (more > 0) errors.push({ position: null, message: `not valid YAML in ${String(more)} more places` });
    const data: unknown = errors.length > 0 ? undefined : document.toJS({ maxAliasCount: ALIAS_MAX });
    return { data, errors, positionOf: (path, part = 'value') => locate(document, path, part, at) };
  } catch (error) {
    // The parser recurses, and so does the making of data.
    if (error instanceof RangeError) return failed('nested too deeply');
    if (error instanceof ReferenceError) return failed('aliases stand for too much; write the values out');
    return failed(`not valid YAML: ${sentence((error as Error).message)}`);
  }
}

function failed(message: string): Source {
  return { data: undefined, errors: [{ position: null, message }], positionOf: () => ({ line: 1, column: 1 }) };
}

function wordsFor({ code, message }: YAMLError): string {
  const open = /^Flow (sequence|map) in block collection/.exec(message)?.[1];
  if (open !== undefined) {
    return open === 'map' ? 'a mapping above is not closed; add }' : 'a list above is not closed; add ]';
  }
  return WORDS[code] ?? `not valid YAML: ${sentence(message)}`;
}

/** The parser finds these only when it makes the data, and then without their place. */
function unknownAliases(document: Document.Parsed, at: (offset: number) => Position): SourceError[] {
  const anchors = new Set<string>();
  const errors: SourceError[] = [];
  visit(document, (_, node) => {
    if (isAlias(node)) {
      if (anchors.has(node.source)) return;
      const message = `there is no anchor &${node.source} above; define it, or write the value out`;
      errors.push({ position: at(startOf(node) ?? 0), message });
    } else if (isNode(node) && 'anchor' in node && typeof node.anchor === 'string') anchors.add(node.anchor);
  });
  return errors.slice(0, ERRORS_MAX);
}

function sentence(text: string): string {
  const line = text.split('\n')[0]?.trim().replace(/[.:]$/, '') ?? '';
  return line.charAt(0).toLowerCase() + line.slice(1);
}

function locate(
  document: Document.Parsed,
  path: readonly PropertyKey[],
  part: 'value' | 'key',
  at: (offset: number) => Position,
): Position {
  let node: unknown = document.contents;
  let place = startOf(document.contents) ?? 0;
  for (const [index, segment] of path.entries()) {
    const last = index === path.length - 1;
    if (isSeq(node) && typeof segment === 'number') {
      node = node.items[segment];
      place = startOf(node) ?? place;
    } else if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(segment));
      if (pair === undefined) break;
      node = pair.value;
      const key = startOf(pair.key) ?? place;
      // An empty value stands nowhere: its key shows the line to look at.
      const empty = isScalar(node) && node.value === null && node.source === '';
      place = (last && part === 'key') || empty ? key : (startOf(node) ?? key);
    } else break;
    if (isAlias(node)) break;
  }
  return at(place);
}

function startOf(node: unknown): number | null {
  return (node as Node | null | undefined)?.range?.[0] ?? null;
}
