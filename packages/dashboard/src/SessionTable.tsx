// SPDX-License-Identifier: Apache-2.0
import {
  bytesOf,
  explainReason,
  formatBytes,
  formatDetail,
  formatDuration,
  formatEndpoint,
  type Flow,
} from '@relatd/model';
import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useLayoutEffect, useState } from 'preact/hooks';
import type { Place, Sort } from './place.js';
import { assignmentOf, type Row } from './rows.js';
import { isOver, isTrouble, traffic, type Session, type Tracked } from './sessions.js';

/** Height of a row in pixels, as style.css has it: which rows are drawn is computed by it. */
const ROW = 34;
/** Rows beyond those in sight, so that a quick scroll shows no gap. */
const SPARE = 8;

const COLUMNS: readonly { readonly title: string; readonly sort: Sort | null; readonly right?: true }[] = [
  { title: 'Session', sort: null },
  { title: 'Assignment', sort: 'assignment' },
  { title: 'Source', sort: 'source' },
  { title: 'Destination', sort: 'destination' },
  { title: 'State', sort: 'state' },
  { title: 'Detail', sort: null },
  { title: 'Bytes', sort: 'bytes', right: true },
  { title: 'Rate', sort: 'rate', right: true },
  { title: 'Age', sort: 'started', right: true },
];

interface Properties {
  readonly rows: readonly Row[];
  readonly place: Place;
  readonly go: (change: Partial<Place>) => void;
  /** Opens or closes what is below a session. */
  readonly toggle: (id: string) => void;
  readonly container: RefObject<HTMLDivElement | null>;
  readonly empty: string;
}

/**
 * Sessions with their related flows and expectations below them (WAI-ARIA: treegrid). Only the rows in sight exist; the
 * focus stays on the table, which names the active row.
 */
export function SessionTable({ rows, place, go, toggle, container, empty }: Properties) {
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const [active, setActive] = useState('');

  useLayoutEffect(() => {
    const element = container.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => {
      setHeight(element.clientHeight);
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
    };
  }, [container]);

  const found = rows.findIndex(({ key }) => key === active);
  const first = Math.max(0, Math.floor(top / ROW) - SPARE);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW) + SPARE);

  const activate = (index: number): void => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
    const element = container.current;
    if (row === undefined || element === null) return;
    setActive(row.key);
    // The head of the table stays in sight and covers a row's height.
    const at = rows.indexOf(row) * ROW;
    if (at < element.scrollTop) element.scrollTop = at;
    else if (at + 2 * ROW > element.scrollTop + element.clientHeight)
      element.scrollTop = at + 2 * ROW - element.clientHeight;
  };

  const press = (event: KeyboardEvent): void => {
    if (event.target !== container.current) return;
    const row = rows[found];
    const page = Math.max(1, Math.floor(height / ROW) - 2);
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: found + 1,
      ArrowUp: found < 0 ? 0 : found - 1,
      PageDown: found + page,
      PageUp: found - page,
      Home: 0,
      End: rows.length - 1,
    };
    const move = moves[event.key];
    if (move !== undefined) activate(move);
    else if (event.key === 'Enter' && row !== undefined) go({ session: row.session.id });
    else if (event.key === 'Escape') go({ session: '' });
    else if (event.key === 'ArrowRight' && row?.kind === 'control' && row.children > 0 && !row.open) toggle(row.key);
    else if (event.key === 'ArrowLeft' && row?.kind === 'control' && row.open) toggle(row.key);
    else if (event.key === 'ArrowLeft' && row !== undefined && row.kind !== 'control') {
      activate(rows.findIndex(({ key }) => key === row.session.id));
    } else return;
    event.preventDefault();
  };

  // What is filtered away takes the scroll position with it.
  useEffect(() => {
    const element = container.current;
    if (element !== null && element.scrollTop !== top) setTop(element.scrollTop);
  }, [rows.length]);

  return (
    <div
      ref={container}
      class="table"
      role="treegrid"
      aria-label="Sessions"
      aria-rowcount={rows.length + 1}
      aria-colcount={COLUMNS.length}
      aria-activedescendant={found >= first && found < last ? `row-${active}` : undefined}
      tabIndex={0}
      onKeyDown={press}
      onScroll={(event) => {
        setTop(event.currentTarget.scrollTop);
      }}
    >
      <div class="row head" role="row" aria-rowindex={1}>
        {COLUMNS.map(({ title, sort, right }) => (
          <Heading key={title} title={title} sort={sort} right={right === true} place={place} go={go} />
        ))}
      </div>
      <div class="rows" role="rowgroup" style={{ height: `${String(rows.length * ROW)}px` }}>
        {rows.slice(first, last).map((row, index) => (
          <TableRow
            key={row.key}
            row={row}
            index={first + index}
            active={row.key === active}
            selected={row.session.id === place.session}
            toggle={toggle}
            choose={() => {
              setActive(row.key);
              go({ session: row.session.id });
            }}
          />
        ))}
      </div>
      {rows.length === 0 && <p class="empty">{empty}</p>}
    </div>
  );
}

interface HeadingProperties {
  readonly title: string;
  readonly sort: Sort | null;
  readonly right: boolean;
  readonly place: Place;
  readonly go: (change: Partial<Place>) => void;
}

function Heading({ title, sort, right, place, go }: HeadingProperties) {
  const current = sort !== null && place.sort === sort;
  // The youngest is the one that started last.
  const ascending = sort === 'started' ? place.descending : !place.descending;
  return (
    <div
      role="columnheader"
      class={right ? 'right' : undefined}
      aria-sort={current ? (ascending ? 'ascending' : 'descending') : undefined}
    >
      {sort === null ? (
        title
      ) : (
        <button
          type="button"
          onClick={() => {
            const usual = right;
            go({ sort, descending: current ? !place.descending : usual });
          }}
        >
          {title}
          <span aria-hidden="true">{current ? (ascending ? ' ▲' : ' ▼') : ''}</span>
        </button>
      )}
    </div>
  );
}

interface RowProperties {
  readonly row: Row;
  readonly index: number;
  readonly active: boolean;
  readonly selected: boolean;
  readonly toggle: (id: string) => void;
  readonly choose: () => void;
}

function TableRow({ row, index, active, selected, toggle, choose }: RowProperties) {
  const classes = ['row', row.kind, active ? 'active' : '', selected ? 'selected' : '', isEnded(row) ? 'over' : ''];
  return (
    <div
      id={`row-${row.key}`}
      role="row"
      class={classes.filter(Boolean).join(' ')}
      style={{ transform: `translateY(${String(index * ROW)}px)` }}
      aria-rowindex={index + 2}
      aria-level={row.kind === 'control' ? 1 : 2}
      aria-expanded={row.kind === 'control' && row.children > 0 ? row.open : undefined}
      aria-selected={selected}
      onClick={choose}
    >
      <Cells row={row} toggle={toggle} />
    </div>
  );
}

function isEnded(row: Row): boolean {
  if (row.kind === 'control') return isOver(row.session);
  return row.kind === 'related' && row.tracked.end !== null;
}

function Cells({ row, toggle }: { row: Row; toggle: (id: string) => void }) {
  if (row.kind === 'related') {
    return (
      <FlowCells tracked={row.tracked} bytes={bytesOf(row.tracked.flow)} rate={row.tracked.rate}>
        <span class="child">↳ #{row.tracked.flow.id}</span>
      </FlowCells>
    );
  }
  if (row.kind === 'expected') {
    const { expectation } = row.expected;
    const expires = expectation.expiresSeconds;
    return (
      <>
        <Cell>
          <span class="child">↳ expected</span>
        </Cell>
        <Cell>{expectation.assignment}</Cell>
        <Cell mono>{formatEndpoint(expectation.source)}</Cell>
        <Cell mono>{formatEndpoint(expectation.destination)}</Cell>
        <Cell>
          <span class="badge expect">waiting</span>
        </Cell>
        <Cell soft>{expires === null ? 'until its session ends' : `for at most ${formatDuration(expires)}`}</Cell>
        <Cell right>–</Cell>
        <Cell right>–</Cell>
        <Cell right>{age(expectation.created, null)}</Cell>
      </>
    );
  }
  const { session, children, open } = row;
  const twist = (
    <>
      <button
        type="button"
        class="twist"
        tabIndex={-1}
        aria-hidden="true"
        disabled={children === 0}
        onClick={(event) => {
          event.stopPropagation();
          toggle(session.id);
        }}
      >
        {children === 0 ? '' : open ? '▾' : '▸'}
      </button>
      #{session.id}
      {children > 0 && <span class="soft"> +{children}</span>}
    </>
  );
  const sum = traffic(session);
  if (session.control === null)
    return <OrphanCells session={session} bytes={sum.bytes} rate={sum.rate} first={twist} />;
  return (
    <FlowCells tracked={session.control} bytes={sum.bytes} rate={sum.rate}>
      {twist}
      {isTrouble(session) && (
        <span class="warn" title="Look at it: no longer parsed, or something was refused">
          !
        </span>
      )}
    </FlowCells>
  );
}

/** A session whose control connection was over before this page knew of it. */
function OrphanCells({
  session,
  bytes,
  rate,
  first,
}: {
  session: Session;
  bytes: number;
  rate: number;
  first: ComponentChildren;
}) {
  return (
    <>
      <Cell>{first}</Cell>
      <Cell>{assignmentOf(session)}</Cell>
      <Cell soft>control connection is over</Cell>
      <Cell>{null}</Cell>
      <Cell>
        <span class="badge">ended</span>
      </Cell>
      <Cell>{null}</Cell>
      <Cell right>{formatBytes(bytes)}</Cell>
      <Cell right>{speed(rate)}</Cell>
      <Cell>{null}</Cell>
    </>
  );
}

interface FlowProperties {
  readonly tracked: Tracked;
  readonly bytes: number;
  readonly rate: number;
  readonly children: ComponentChildren;
}

function FlowCells({ tracked, bytes, rate, children }: FlowProperties) {
  const { flow, end } = tracked;
  return (
    <>
      <Cell>{children}</Cell>
      <Cell>{flow.assignment}</Cell>
      <Cell mono>{formatEndpoint(flow.source)}</Cell>
      <Cell mono>{formatEndpoint(flow.destination)}</Cell>
      <Cell>
        <StateBadge flow={flow} over={end !== null} />
      </Cell>
      <Cell>{formatDetail(flow.detail)}</Cell>
      <Cell right>{formatBytes(bytes)}</Cell>
      <Cell right>{speed(rate)}</Cell>
      <Cell right>{age(flow.created, end?.time ?? null)}</Cell>
    </>
  );
}

/** State of a flow; of a control connection that is no longer parsed, why. */
export function StateBadge({ flow, over }: { flow: Flow; over: boolean }) {
  if (flow.kind === 'control' && flow.trust !== 'ok') {
    return (
      <span class="badge bad" title={explainReason(flow.trust)}>
        {flow.trust}
      </span>
    );
  }
  return <span class={over ? 'badge' : `badge ${flow.state}`}>{over ? 'ended' : flow.state}</span>;
}

interface CellProperties {
  readonly children: ComponentChildren;
  readonly right?: boolean;
  readonly mono?: boolean;
  readonly soft?: boolean;
}

function Cell({ children, right, mono, soft }: CellProperties) {
  const classes = [right === true && 'right', mono === true && 'mono', soft === true && 'soft']
    .filter(Boolean)
    .join(' ');
  return (
    <div
      role="gridcell"
      class={classes === '' ? undefined : classes}
      title={typeof children === 'string' ? children : undefined}
    >
      {children}
    </div>
  );
}

function speed(rate: number): string {
  return rate < 1 ? '–' : `${formatBytes(Math.round(rate))}/s`;
}

/** From `created` to the end, or to now. */
function age(created: string, end: string | null): string {
  return formatDuration(((end === null ? Date.now() : Date.parse(end)) - Date.parse(created)) / 1000);
}
