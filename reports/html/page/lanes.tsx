/**
 * The steps side by side, a lane for each thread, as a grid that scrolls: the line beside each cell says whether the
 * thread could move after that step, waited, had nothing to do, or had ended.
 *
 * It is one stop of the Tab key; inside it the arrow keys walk, and a screen reader hears row by row. On a narrow screen
 * the same rows are a list.
 */
import { defaultRangeExtractor } from '@tanstack/virtual-core';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { Line } from '../../listening.ts';
import type { Move, Trace } from '../trace.ts';
import { Code } from './code.tsx';
import { useVirtualizer } from './virtual.ts';

export interface LanesProps {
  readonly trace: Trace;
  readonly threads: readonly string[];
  readonly kinds: Readonly<Record<string, string>>;
  readonly selected: number;
  readonly select: (step: number) => void;
  /** From this step on it is a branch. */
  readonly left: number | undefined;
  /** The step that breaks it, and what it breaks. */
  readonly broken: { readonly step: number; readonly what: string } | undefined;
  readonly narrow: boolean;
}

const LINE = 20;
const ROW = 10;
/** The column of numbers, in pixels. */
const NUMBERS = 44;
/** Letters that a lane is wide. */
const LANE = { least: 22, most: 36 };
const PAGE = 10;

export function Lanes(props: LanesProps) {
  const { trace, threads, kinds, selected, select, narrow } = props;
  const grid = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: trace.steps + 1,
    getScrollElement: () => grid.current,
    estimateSize: (step) => heightOf(trace.at(step).move, narrow),
    getItemKey: (step) => step,
    // The selected row is always there: a screen reader is told of it by its id.
    rangeExtractor: (range) => [...new Set([...defaultRangeExtractor(range), selected])].sort((a, b) => a - b),
  });
  useLayoutEffect(() => virtualizer.scrollToIndex(selected, { align: 'auto' }), [selected, trace]);
  useLayoutEffect(() => virtualizer.measure(), [narrow]);
  const rows = virtualizer.getVirtualItems();
  const there = rows.some(({ index }) => index === selected);
  useLayoutEffect(() => showLane(grid.current, selected), [selected, trace, narrow, there]);

  const walk = (event: KeyboardEvent): void => {
    const to: Record<string, number> = {
      ...{ ArrowUp: selected - 1, ArrowDown: selected + 1, PageUp: selected - PAGE, PageDown: selected + PAGE },
      ...{ Home: 0, End: trace.steps },
    };
    const step = to[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    select(Math.min(trace.steps, Math.max(0, step)));
  };
  const shown = narrow ? [] : threads;
  const widths = useMemo(() => shown.map((name) => widthOf(trace, name, kinds[name] ?? '')), [trace, shown.join()]);
  const columns = {
    '--lanes': widths.map((width) => `minmax(${width}ch, ${width}fr)`).join(' '),
    '--width': `calc(${NUMBERS}px + ${widths.reduce((sum, each) => sum + each, 0)}ch)`,
  };
  return (
    <div
      ref={grid}
      class={`lanes ${narrow ? 'narrow' : 'wide'}`}
      style={columns}
      role="grid"
      aria-label="Steps, a column for each thread"
      aria-rowcount={trace.steps + 2}
      aria-colcount={shown.length + 1}
      aria-activedescendant={`step-${selected}`}
      tabIndex={0}
      onKeyDown={walk}
    >
      <div class="lane-row lane-head" role="row" aria-rowindex={1}>
        <div class="number" role="columnheader" aria-label="Step">
          #
        </div>
        {narrow ? (
          <div role="columnheader">What happens</div>
        ) : (
          shown.map((name) => (
            <div key={name} role="columnheader">
              {name} {kinds[name] === 'kernel' ? '' : <small>({kinds[name]})</small>}
            </div>
          ))
        )}
      </div>
      <div role="rowgroup" class="lane-body" style={{ height: `${virtualizer.getTotalSize()}px` }}>
        {rows.map(({ index, start }) => (
          <div
            key={index}
            id={`step-${index}`}
            ref={(row) => virtualizer.measureElement(row)}
            data-index={index}
            class={rowClass(props, index)}
            style={{ transform: `translateY(${start}px)` }}
            role="row"
            aria-rowindex={index + 2}
            aria-selected={index === selected}
            onClick={() => select(index)}
          >
            <div class="number" role="gridcell">
              {index === 0 ? 'start' : index}
              {trace.at(index).move?.loop && <span class="visually-hidden"> again and again</span>}
            </div>
            {narrow ? <Together {...props} step={index} /> : <Apart {...props} step={index} />}
          </div>
        ))}
      </div>
    </div>
  );
}

function rowClass({ selected, left, broken, trace }: LanesProps, step: number): string {
  const move = trace.at(step).move;
  return [
    'lane-row',
    step === selected ? 'selected' : '',
    left !== undefined && step > left ? 'branched' : '',
    broken?.step === step ? 'broken' : '',
    move?.loop ? 'loop' : '',
    move?.reboots ? 'reboots' : '',
  ]
    .filter((name) => name !== '')
    .join(' ');
}

type RowProps = LanesProps & { readonly step: number };

/** One cell for each thread. */
function Apart({ trace, threads, step, kinds, broken }: RowProps) {
  const { move } = trace.at(step);
  const opens = trace.opens(step);
  return (
    <>
      {threads.map((name) => (
        <div
          key={name}
          role="gridcell"
          class={`lane ${opens[name]?.kind ?? ''} ${move?.thread === name ? 'moves' : ''}`}
        >
          {move?.thread === name && <Lines move={move} kind={kinds[name] ?? ''} />}
          <Waits trace={trace} step={step} name={name} />
          {broken?.step === step && move?.thread === name && <p class="breaks">✗ {broken.what}</p>}
        </div>
      ))}
    </>
  );
}
/** One cell with everything, for narrow screens. */
function Together({ trace, threads, step, kinds, broken }: RowProps) {
  const { move } = trace.at(step);
  return (
    <div role="gridcell" class="lane moves">
      {move ? <b>{move.thread}</b> : 'Nobody has moved yet.'}
      {move && <Lines move={move} kind={kinds[move.thread] ?? ''} />}
      {threads.map((name) => (
        <Waits key={name} trace={trace} step={step} name={name} named />
      ))}
      {broken?.step === step && <p class="breaks">✗ {broken.what}</p>}
    </div>
  );
}
/** The first frame of a process is user space; its system call begins the kernel's own nesting. */
const baseOf = (kind: string): number => (kind === 'user' ? 2 : 1);
const DEEPEST = 6;
const indentOf = (depth: number, kind: string): number => Math.min(DEEPEST, Math.max(0, depth - baseOf(kind)));

function Lines({ move, kind }: { move: Move; kind: string }) {
  return (
    <>
      {move.reboots && <p class="again">Another run, from the start:</p>}
      {move.lines.map((line, at) => (
        <code key={at} style={{ paddingInlineStart: `${indentOf(line.depth, kind) * 2 + 2}ch` }} class={classOf(line)}>
          <Code text={line.text} /> {line.outcome !== '' && <em>{line.outcome}</em>}
          {line.enters.map((routine) => (
            <span class="enters" key={routine}>
              {routine}():
            </span>
          ))}
        </code>
      ))}
      {returns(move).map((text) => (
        <code class="comment" key={text}>
          {text}
        </code>
      ))}
    </>
  );
}
const classOf = ({ text }: Line): string => (text.startsWith('/*') ? 'comment' : '');
const returns = ({ facts }: Move): string[] =>
  facts.flatMap((fact) => (fact.kind === 'returned' && fact.to === 'user' ? [`${fact.routine}() = ${fact.ret}`] : []));

/** What a thread begins to wait for here. */
function Waits({ trace, step, name, named }: { trace: Trace; step: number; name: string; named?: boolean }) {
  const open = trace.opens(step)[name];
  const newly = step === 0 || trace.at(step).move?.newly.includes(name);
  if (open?.kind !== 'blocked' || !newly) return null;
  const line = trace.line(step, name);
  const said = trace.at(step).move?.lines.at(-1);
  return (
    <div class="waits">
      {trace.at(step).move?.thread === name && said?.text === line ? null : (
        <code>
          <Code text={line} />
        </code>
      )}
      <p>
        {named && <b>{name} </b>}waits for {open.wait.object}: {open.wait.because}
      </p>
    </div>
  );
}

/** As wide as its longest line, within reason: in letters. */
function widthOf(trace: Trace, name: string, kind: string): number {
  const { least, most } = LANE;
  const own = trace.moments.flatMap(({ move }) => (move?.thread === name ? move.lines : []));
  const longest = own.map(({ text, depth }) => text.length + indentOf(depth, kind) * 2 + 4);
  return Math.min(
    most,
    longest.reduce((most, each) => Math.max(most, each), Math.max(least, name.length + 10)),
  );
}
/** Bring the lane of the thread that moves into sight, sideways only: the page itself stays where it is. */
function showLane(grid: HTMLElement | null, step: number): void {
  const cell = grid?.querySelector<HTMLElement>(`#step-${step} .moves`);
  if (!grid || !cell) return;
  const [left, right] = [cell.offsetLeft, cell.offsetLeft + cell.offsetWidth];
  if (left - NUMBERS < grid.scrollLeft) grid.scrollLeft = left - NUMBERS;
  else if (right > grid.scrollLeft + grid.clientWidth) grid.scrollLeft = right - grid.clientWidth;
}
/** About how high a row is, before anybody has seen it. */
function heightOf(move: Move | undefined, narrow: boolean): number {
  const lines = move ? move.lines.reduce((sum, { enters }) => sum + 1 + enters.length, 0) + returns(move).length : 1;
  return ROW + LINE * (lines + (move?.newly.length ?? 0) * 2 + (narrow ? 1 : 0) + (move?.reboots ? 1 : 0));
}
