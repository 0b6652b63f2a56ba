// SPDX-License-Identifier: Apache-2.0
import {
  explainReason,
  formatBytes,
  formatDetail,
  formatDuration,
  formatEndpoint,
  type ControlFlow,
} from '@relatd/model';
import { clock } from './text.js';
import type { Session } from './sessions.js';
import { StateBadge } from './SessionTable.js';
import { timelineOf, type Lane, type Moment } from './timeline.js';

/** One session: what it is, its connections side by side, and what happened in it. */
export function Details({ session, close }: { session: Session; close: () => void }) {
  const timeline = timelineOf(session);
  const { control } = session;
  return (
    <aside
      class="details"
      aria-label={`Session ${session.id}`}
      onKeyDown={(event) => {
        if (event.key === 'Escape') close();
      }}
    >
      <div class="title">
        <h2>Session #{session.id}</h2>
        {control !== null && <StateBadge flow={control.flow} over={control.end !== null} />}
        <button type="button" class="icon" aria-label="Close" title="Close (Escape)" onClick={close}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M3.7 2.6 8 6.9l4.3-4.3 1.1 1.1L9.1 8l4.3 4.3-1.1 1.1L8 9.1l-4.3 4.3-1.1-1.1L6.9 8 2.6 3.7z" />
          </svg>
        </button>
      </div>
      {control === null ? (
        <p class="soft">Its control connection was over before this page was opened.</p>
      ) : (
        <Facts flow={control.flow} />
      )}
      <Lanes lanes={timeline.lanes} moments={timeline.moments} />
      <h3>What happened</h3>
      <ol class="moments">
        {timeline.moments.map((moment, index) => (
          <MomentItem key={index} moment={moment} before={timeline.moments[index - 1] ?? null} />
        ))}
      </ol>
    </aside>
  );
}

function Facts({ flow }: { flow: ControlFlow }) {
  const detail = formatDetail(flow.detail);
  const facts: readonly (readonly [string, string])[] = [
    ['From', formatEndpoint(flow.source)],
    ['To', formatEndpoint(flow.destination)],
    ['Assignment', flow.assignment === flow.helper ? flow.assignment : `${flow.assignment} (${flow.helper})`],
    ['Interface', flow.interface],
    ...(detail === '' ? [] : [['Last said', detail] as const]),
    ['Control bytes', `${formatBytes(flow.bytes.original)} out, ${formatBytes(flow.bytes.reply)} back`],
    ['Began', new Date(flow.created).toLocaleString()],
  ];
  return (
    <>
      {flow.trust !== 'ok' && <p class="notice">{explainReason(flow.trust)}</p>}
      <dl class="facts">
        {facts.map(([title, value]) => (
          <div key={title}>
            <dt>{title}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

/** Connections as bars over time; a ring marks the announcement, a cross what was refused. */
function Lanes({ lanes, moments }: { lanes: readonly Lane[]; moments: readonly Moment[] }) {
  if (lanes.length === 0) return null;
  const times = [...lanes.flatMap(({ begin, end }) => [begin, end ?? Date.now()]), ...moments.map(({ at }) => at)];
  const from = Math.min(...times);
  const span = Math.max(1, Math.max(...times) - from);
  const percent = (at: number): string => `${((100 * (at - from)) / span).toFixed(2)}%`;
  const refused = moments.filter(({ tone }) => tone === 'refuse');
  return (
    <div
      class="lanes"
      role="img"
      aria-label={`${String(lanes.length)} connections over ${formatDuration(span / 1000)}`}
    >
      {lanes.map((lane) => (
        <div key={lane.id} class={`lane ${lane.kind}`}>
          <span class="label" title={lane.label}>
            {lane.label}
          </span>
          <span class="track">
            {lane.announced !== null && (
              <span
                class="wait"
                style={{ left: percent(lane.announced), width: width(lane.announced, lane.begin, span) }}
              />
            )}
            <span
              class={lane.end === null ? 'bar lives' : 'bar'}
              style={{ left: percent(lane.begin), width: width(lane.begin, lane.end ?? Date.now(), span) }}
            />
            {lane.announced !== null && <span class="ring" style={{ left: percent(lane.announced) }} />}
            {lane.kind === 'control' &&
              refused.map(({ at }, index) => <span key={index} class="cross" style={{ left: percent(at) }} />)}
          </span>
        </div>
      ))}
      <div class="lane scale" aria-hidden="true">
        <span class="label" />
        <span class="track">
          <span>{new Date(from).toLocaleTimeString()}</span>
          <span>{formatDuration(span / 1000)}</span>
        </span>
      </div>
    </div>
  );
}

function width(begin: number, end: number, span: number): string {
  return `${((100 * Math.max(0, end - begin)) / span).toFixed(2)}%`;
}

function MomentItem({ moment, before }: { moment: Moment; before: Moment | null }) {
  const since = before === null ? '' : `+${gap(moment.at - before.at)}`;
  return (
    <li class={moment.tone}>
      <span class="when">
        <time dateTime={new Date(moment.at).toISOString()}>{clock(moment.at)}</time>
        <span class="soft">{since}</span>
      </span>
      <span class="what">
        <strong>{moment.title}</strong>
        {moment.text !== '' && <span class="mono">{moment.text}</span>}
        {moment.note !== '' && <span class="soft">{moment.note}</span>}
      </span>
    </li>
  );
}

function gap(ms: number): string {
  return ms < 1000 ? `${String(ms)} ms` : formatDuration(ms / 1000);
}
