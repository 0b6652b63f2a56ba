// SPDX-License-Identifier: Apache-2.0
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Series } from './series.js';
import { isDark, type Theme } from './theme.js';

const HEIGHT = 230;

/** Told apart also by those who see no difference between red and green; by theme. */
const COLOURS = {
  light: ['#0b5fd0', '#c2410c', '#0f766e', '#9333ea', '#a16207', '#be123c', '#475569'],
  dark: ['#6cb0ff', '#ff9b5e', '#4fd1c0', '#c99bff', '#f2cc60', '#ff8fa3', '#a8b3c0'],
} as const;

interface Properties {
  readonly series: Series;
  readonly version: number;
  readonly theme: Theme;
  readonly title: string;
  readonly unit: string;
  readonly names: readonly string[];
  /** What the names begin with and the legend leaves out. */
  readonly prefix?: string;
  /** Shown where there is no line to draw. */
  readonly nothing?: string;
}

/** Lines over time, with a legend that has the values under the pointer, else the latest. */
export function Chart({ series, version, theme, title, unit, names, prefix = '', nothing = '' }: Properties) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = isDark(theme);
  const lines = names.join('\n');

  useEffect(() => {
    const element = box.current;
    if (element === null || lines === '') return;
    const created = new uPlot(
      optionsOf(lines.split('\n'), prefix, dark, element.clientWidth),
      series.columns(lines.split('\n')),
      element,
    );
    plot.current = created;
    const observer = new ResizeObserver(() => {
      created.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      created.destroy();
      plot.current = null;
    };
  }, [series, lines, prefix, dark]);

  useEffect(() => {
    const drawn = plot.current;
    if (drawn === null) return;
    drawn.setData(series.columns(lines.split('\n')));
    // Without a pointer above it, the legend says what is now.
    if ((drawn.cursor.left ?? -1) < 0) drawn.setLegend({ idx: series.samples.length - 1 }, false);
  }, [series, lines, version, prefix, dark]);

  const latest = series.samples.at(-1)?.values ?? {};
  const text = names.map((name) => `${name.slice(prefix.length)}: ${shown(latest[name] ?? null)}`).join(', ');
  return (
    <figure>
      <figcaption>
        {title} <span class="soft">{unit}</span>
      </figcaption>
      {names.length === 0 ? (
        <p class="empty">{nothing}</p>
      ) : (
        <div ref={box} class="plot" role="img" aria-label={`${title}, ${unit}; now ${text}`} />
      )}
    </figure>
  );
}

function optionsOf(names: readonly string[], prefix: string, dark: boolean, width: number): uPlot.Options {
  const colours = dark ? COLOURS.dark : COLOURS.light;
  const axis: uPlot.Axis = {
    stroke: dark ? '#9198a1' : '#57606a',
    font: '11px system-ui, sans-serif',
    grid: { stroke: dark ? '#262c34' : '#e6e9ed', width: 1 },
    ticks: { stroke: dark ? '#262c34' : '#e6e9ed', width: 1 },
  };
  return {
    width,
    height: HEIGHT,
    legend: { live: true },
    cursor: { drag: { setScale: false } },
    // A flat line at zero belongs at the bottom.
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [
      { ...axis, values: (_plot, times) => times.map(timeOf) },
      { ...axis, size: 56, values: (_plot, values) => values.map(shown) },
    ],
    series: [
      { label: 'Time', value: (_plot, time: number | null) => (time === null ? '' : timeOf(time)) },
      ...names.map((name, index): uPlot.Series => ({
        label: name.slice(prefix.length),
        stroke: colours[index % colours.length] ?? '#888',
        width: 2,
        // Where two lines are equal the second covers the first: what is below the first still shows.
        ...(index === 0 ? { fill: `${colours[0]}22` } : {}),
        points: { show: false },
        value: (_plot, value: number | null) => shown(value),
      })),
    ],
  };
}

/** `23:58:50` of Unix time in seconds, by this browser's clock. */
function timeOf(time: number): string {
  return new Date(time * 1000).toTimeString().slice(0, 8);
}

function shown(value: number | null): string {
  if (value === null) return '–';
  if (Number.isInteger(value)) return value.toLocaleString('en');
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 2 : 1 });
}
