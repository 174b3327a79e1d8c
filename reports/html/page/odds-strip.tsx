/** How likely the failure had become, along the trace: a line, a band where it was counted, and the point of no return. */
import type { After, Odds } from '../../../properties/search/odds.ts';
import { grouped } from '../../row.ts';

type Known = Exclude<Odds, { kind: 'none' }>;

/** What is known after so many steps: there, or at the nearest step before it that was looked at. */
const oddsAt = ({ along }: Known, step: number): After | undefined => along.findLast((each) => each.step <= step);

/** Never 100 % for what can be avoided, nor 0 % for what can happen. */
export function percent(chance: number): string {
  if (chance <= 0 || chance >= 1) return `${chance * 100} %`;
  const text = (chance * 100).toPrecision(chance < 0.001 ? 1 : 3);
  return Number(text) >= 100 ? 'more than 99.9 %' : `${Number(text)} %`;
}
function likelyText(odds: Known, step: number): string {
  const here = oddsAt(odds, step);
  if (!here) return '';
  const range = odds.kind === 'exact' ? percent(here.low) : `${percent(here.low)} to ${percent(here.high)}`;
  return here.step === step || odds.kind === 'exact' ? range : `${range} (counted after step ${here.step})`;
}

/** The point of no return in a sentence. */
function noReturn(odds: Odds, steps: number): string {
  if (odds.kind === 'none') return '';
  const { lastAvoidable } = odds;
  if (odds.kind === 'sampled')
    return lastAvoidable === undefined
      ? `None of ${odds.walks} random walks from the start avoided the failure.`
      : `It could still be avoided after step ${lastAvoidable}: a random walk from there did.`;
  if (lastAvoidable === undefined) return 'It could never be avoided: every run comes to it in the end.';
  const next = lastAvoidable + 1;
  return lastAvoidable === steps - 1
    ? `It could be avoided up to the very last step, step ${next}.`
    : `Step ${next} is the point of no return: up to step ${lastAvoidable} the failure could still be avoided; from then on every run comes to it.`;
}

export function OddsStrip({
  odds,
  steps,
  selected,
  select,
}: {
  readonly odds: Odds;
  readonly steps: number;
  readonly selected: number;
  readonly select: (step: number) => void;
}) {
  if (odds.kind === 'none') return <p class="quiet">No odds are given: {odds.why}.</p>;
  const x = (step: number): number => (steps === 0 ? 0 : (step / steps) * 1000);
  const y = (chance: number): number => 100 - chance * 100;
  const upper = odds.along.map(({ step, high }) => `${x(step)},${y(high)}`);
  const lower = odds.along.map(({ step, low }) => `${x(step)},${y(low)}`);
  const middle = odds.along.map(({ step, low, high }) => `${x(step)},${y((low + high) / 2)}`);
  const click = (event: MouseEvent): void => {
    const { left, width } = (event.currentTarget as Element).getBoundingClientRect();
    select(Math.round(((event.clientX - left) / width) * steps));
  };
  const { lastAvoidable } = odds;
  const how =
    odds.kind === 'exact'
      ? `exact, from all ${grouped(odds.states)} states`
      : `95 % intervals from ${odds.walks} random walks each, for ${odds.why}`;
  return (
    <figure class="odds">
      <figcaption>
        <b>How likely the failure had become</b>, had the scheduler gone on at random <span class="quiet">({how})</span>
        : {likelyText(odds, selected)} after step {selected}. {noReturn(odds, steps)}
        {odds.comes !== undefined && ` Here the failure is that ${odds.comes}.`}
      </figcaption>
      <svg
        viewBox="0 0 1000 100"
        preserveAspectRatio="none"
        role="img"
        aria-label={`From ${likelyText(odds, 0)} at the start to 100 % after step ${steps}. ${noReturn(odds, steps)}`}
        onClick={click}
      >
        {lastAvoidable !== undefined && odds.kind === 'exact' && (
          <rect class="too-late" x={x(lastAvoidable + 1)} y="0" width={1000 - x(lastAvoidable + 1)} height="100" />
        )}
        <polygon class="area" points={`0,100 ${middle.join(' ')} 1000,100`} />
        {odds.kind === 'sampled' && <polygon class="band" points={[...upper, ...lower.toReversed()].join(' ')} />}
        <polyline class="curve" points={middle.join(' ')} />
        <line class="here" x1={x(selected)} x2={x(selected)} y1="0" y2="100" />
      </svg>
      <div class="axis" aria-hidden="true">
        <span>start</span>
        <span>step {steps}</span>
      </div>
    </figure>
  );
}
