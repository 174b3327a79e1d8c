/** Boxes and arrows, laid out by dagre and drawn as they are. */
import dagre from '@dagrejs/dagre';
import { useId, useMemo } from 'preact/hooks';

export interface Box {
  readonly name: string;
  /** A second line. */
  readonly note: string;
  readonly look: string;
}
export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly label: string;
  /** It is part of what goes on for ever. */
  readonly forEver: boolean;
}
interface DiagramProps {
  /** What it shows, for whoever does not see it. */
  readonly says: string;
  readonly boxes: readonly Box[];
  /** One at most from a box to another. */
  readonly arrows: readonly Arrow[];
}

/** Pixels that a letter takes. */
const LETTER = 7.3;
const BOX = { height: 44, pad: 20 };
const LABEL = 16;

type Placed<T> = T & { readonly x: number; readonly y: number; readonly width: number };
type Point = Pick<Placed<object>, 'x' | 'y'>;

function laidOut({ boxes, arrows }: DiagramProps) {
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: 'TB', nodesep: 32, ranksep: 44, edgesep: 14, marginx: 14, marginy: 10 });
  for (const box of boxes) {
    const width = Math.max(box.name.length, box.note.length) * LETTER + BOX.pad;
    graph.setNode(box.name, { ...box, width, height: BOX.height });
  }
  for (const arrow of arrows) {
    const width = arrow.label === '' ? 0 : arrow.label.length * LETTER + 10;
    graph.setEdge(arrow.from, arrow.to, { ...arrow, width, height: LABEL, labelpos: 'c' });
  }
  dagre.layout(graph);
  const placed = boxes.map(({ name }) => graph.node(name) as unknown as Placed<Box>);
  const drawn = arrows.map((arrow) => {
    const edge = graph.edge(arrow.from, arrow.to) as unknown as Placed<{ points: readonly Point[] }>;
    const box = graph.node(arrow.from) as unknown as Placed<Box>;
    const path = arrow.from === arrow.to ? loop(box, edge.x) : curve(edge.points);
    return { ...arrow, path, x: edge.x, y: edge.y };
  });
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return { placed, drawn, width, height };
}

/** From a box round to itself, by way of its label. */
function loop({ x, y, width }: Placed<Box>, label: number): string {
  const [side, far] = [x + width / 2, label + (label - x - width / 2) / 2];
  return `M${side},${y - 12}C${far},${y - 40} ${far},${y + 40} ${side},${y + 12}`;
}
/** Through the points that the layout gives, with round corners. */
function curve(points: readonly Point[]): string {
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

export function Diagram(props: DiagramProps) {
  const { says, boxes, arrows } = props;
  const { placed, drawn, width, height } = useMemo(() => laidOut(props), [boxes, arrows]);
  const id = useId();
  const look = ({ forEver }: Arrow): string => (forEver ? 'for-ever' : '');
  const keyOf = ({ from, to }: Arrow): string => `${from} ${to}`;
  return (
    <div class="scrolls" role="group" aria-label="The drawing" tabIndex={0}>
      <svg class="graph" role="img" aria-label={says} viewBox={`0 0 ${width} ${height}`} width={width} height={height}>
        <defs>
          <Head id={`${id}-head`} look="" />
          <Head id={`${id}-head-for-ever`} look="for-ever" />
        </defs>
        {drawn.map((arrow) => (
          <path
            key={keyOf(arrow)}
            class={`arrow ${look(arrow)}`}
            d={arrow.path}
            marker-end={`url(#${id}-head${arrow.forEver ? '-for-ever' : ''})`}
          />
        ))}
        {placed.map(({ name, note, look, x, y, width: wide }) => (
          <g key={name} class={`box ${look}`}>
            <rect x={x - wide / 2} y={y - BOX.height / 2} width={wide} height={BOX.height} rx="6" />
            <text x={x} y={note === '' ? y + 4 : y - 4}>
              {name}
            </text>
            <text x={x} y={y + 13} class="state">
              {note}
            </text>
          </g>
        ))}
        {drawn
          .filter(({ label }) => label !== '')
          .map((arrow) => (
            <g key={keyOf(arrow)} class={`label ${look(arrow)}`}>
              <rect
                x={arrow.x - (arrow.label.length * LETTER) / 2 - 3}
                y={arrow.y - 9}
                width={arrow.label.length * LETTER + 6}
                height="18"
              />
              <text x={arrow.x} y={arrow.y + 4}>
                {arrow.label}
              </text>
            </g>
          ))}
      </svg>
    </div>
  );
}

const Head = ({ id, look }: { readonly id: string; readonly look: string }) => (
  <marker
    id={id}
    class={look}
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
);
