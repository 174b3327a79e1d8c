/**
 * Who waits for whom, drawn: an arrow from each thread that waits to each that owes it something, named for what is
 * waited for. What waits for each other for ever is drawn in the colour of the verdict.
 */
import dagre from '@dagrejs/dagre';
import { useMemo } from 'preact/hooks';
import { stuck } from '../../../properties/no-deadlock.ts';
import type { Opens } from '../../../properties/property.ts';
import { waitText } from '../../shown.ts';

const LETTER = 7.3;
const BOX = { height: 44, pad: 20 };
const LABEL = 16;

interface Box {
  readonly name: string;
  readonly state: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
}
interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly label: string;
  readonly path: string;
  readonly x: number;
  readonly y: number;
}

const waitsIn = (opens: Opens) =>
  Object.entries(opens).flatMap(([thread, open]) => (open.kind === 'blocked' ? [{ thread, wait: open.wait }] : []));

const STATES = { ready: 'can move', blocked: 'waits', idle: 'has nothing to do', finished: 'has ended' } as const;

function drawn(opens: Opens): { boxes: Box[]; arrows: Arrow[]; width: number; height: number } {
  const waits = waitsIn(opens);
  const names = [...new Set(waits.flatMap(({ thread, wait }) => [thread, ...wait.owedBy]))];
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: 'TB', nodesep: 32, ranksep: 44, edgesep: 14, marginx: 14, marginy: 10 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const name of names) {
    const state = opens[name] ? STATES[opens[name].kind] : '';
    const width = Math.max(name.length, state.length) * LETTER + BOX.pad;
    graph.setNode(name, { name, state, width, height: BOX.height });
  }
  for (const { thread, wait } of waits)
    for (const debtor of wait.owedBy)
      graph.setEdge(thread, debtor, {
        label: wait.object,
        width: wait.object.length * LETTER + 10,
        height: LABEL,
        labelpos: 'c',
      });
  dagre.layout(graph);
  const boxes = graph.nodes().map((name: string) => graph.node(name) as unknown as Box);
  const arrows = graph.edges().map(({ v, w }: { v: string; w: string }): Arrow => {
    const { points, x, y, label } = graph.edge(v, w) as {
      points: { x: number; y: number }[];
      x: number;
      y: number;
      label: string;
    };
    if (v !== w) return { from: v, to: w, label, path: curve(points), x, y };
    const box = graph.node(v) as unknown as Box;
    return { from: v, to: w, label, path: loop(box, x), x, y };
  });
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return { boxes, arrows, width, height };
}

/** From a thread round to itself, by way of its label. */
function loop({ x, y, width }: Box, label: number): string {
  const [side, far] = [x + width / 2, label + (label - x - width / 2) / 2];
  return `M${side},${y - 12}C${far},${y - 40} ${far},${y + 40} ${side},${y + 12}`;
}
/** Through the points that the layout gives, with round corners. */
function curve(points: readonly { readonly x: number; readonly y: number }[]): string {
  const [first, ...rest] = points;
  if (!first) return '';
  const last = rest.at(-1) ?? first;
  const bends = rest.slice(0, -1).map((point, at) => {
    const next = rest[at + 1] ?? last;
    const middle = at === rest.length - 2 ? last : { x: (point.x + next.x) / 2, y: (point.y + next.y) / 2 };
    return `Q${point.x},${point.y} ${middle.x},${middle.y}`;
  });
  return `M${first.x},${first.y}${bends.length > 0 ? bends.join('') : `L${last.x},${last.y}`}`;
}

export function WaitGraph({ opens }: { readonly opens: Opens }) {
  const waits = waitsIn(opens);
  const { boxes, arrows, width, height } = useMemo(() => drawn(opens), [opens]);
  const forEver = useMemo(() => stuck(opens), [opens]);
  if (waits.length === 0) return <p class="quiet">Nobody waits.</p>;
  const colour = (name: string, to = name): string => (forEver.has(name) && forEver.has(to) ? 'for-ever' : '');
  return (
    <>
      <div class="scrolls" role="group" aria-label="The graph of waits" tabIndex={0}>
        <svg
          class="graph"
          role="img"
          aria-label={`${waits.length} waiting: ${waits.map(({ thread, wait }) => `${thread} for ${wait.owedBy.join(', ') || 'nobody'}`).join('; ')}`}
          viewBox={`0 0 ${width} ${height}`}
          width={width}
          height={height}
        >
          <defs>
            {['', 'for-ever'].map((name) => (
              <marker
                key={name}
                id={`head${name}`}
                class={name}
                viewBox="0 0 10 10"
                refX="9"
                refY="5"
                markerUnits="userSpaceOnUse"
                markerWidth="11"
                markerHeight="11"
                orient="auto-start-reverse"
              >
                <path d="M0,0L10,5L0,10z" />
              </marker>
            ))}
          </defs>
          {arrows.map(({ from, to, path }) => (
            <path
              key={`${from} ${to}`}
              class={`arrow ${colour(from, to)}`}
              d={path}
              marker-end={`url(#head${colour(from, to)})`}
            />
          ))}
          {boxes.map(({ name, state, x, y, width: wide }) => (
            <g key={name} class={`box ${opens[name]?.kind ?? ''} ${colour(name)}`}>
              <rect x={x - wide / 2} y={y - BOX.height / 2} width={wide} height={BOX.height} rx="6" />
              <text x={x} y={y - 4}>
                {name}
              </text>
              <text x={x} y={y + 13} class="state">
                {state}
              </text>
            </g>
          ))}
          {arrows.map(({ from, to, label, x, y }) => (
            <g key={`${from} ${to}`} class={`label ${colour(from, to)}`}>
              <rect x={x - (label.length * LETTER) / 2 - 3} y={y - 9} width={label.length * LETTER + 6} height="18" />
              <text x={x} y={y + 4}>
                {label}
              </text>
            </g>
          ))}
        </svg>
      </div>
      <ul class="waits-list">
        {waits.map(({ thread, wait }) => (
          <li key={thread} class={colour(thread)}>
            {waitText(thread, wait)}
          </li>
        ))}
      </ul>
    </>
  );
}
