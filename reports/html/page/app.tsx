/**
 * The page of one finding. What is selected is a step of the trace on show: the finding's own, or a branch of it that the
 * reader took. Everything on the page is said of the state after that step.
 */
import { useEffect, useLayoutEffect, useMemo, useState } from 'preact/hooks';
import type { Booted } from '../../../model/design.ts';
import { properties } from '../../../properties/index.ts';
import { isPromised } from '../../../model/objects/fence.ts';
import { signature } from '../../../properties/property.ts';
import { likelyFrom } from '../../../properties/search/odds.ts';
import { Random } from '../../../properties/search/random.ts';
import { type Finding, caseOfFinding } from '../finding.ts';
import { type Ending, MOST_FURTHER, Trace } from '../trace.ts';
import { Lanes } from './lanes.tsx';
import { OddsStrip, percent } from './odds-strip.tsx';
import { Changes, StepDetails } from './step-details.tsx';
import { Threads } from './threads.tsx';
import { Claim, Proof, Sources } from './verdict.tsx';
import { WaitGraph } from './wait-graph.tsx';

/** Where the reader left the finding's trace, and what followed. */
interface Branch {
  readonly left: number;
  readonly trace: Trace;
  readonly ending?: Ending;
}

export function App({ finding, booted }: { readonly finding: Finding; readonly booted: Booted }) {
  const own = useMemo(() => Trace.along(booted, caseOfFinding(finding), finding.patient), []);
  const [branch, setBranch] = useState<Branch>();
  const linked = useMemo(() => stepInHash(own.steps), []);
  const [selected, setSelected] = useState(linked ?? own.steps);
  const [runs, setRuns] = useState(0);
  const narrow = useNarrow();
  const trace = branch?.trace ?? own;
  const at = Math.min(selected, trace.steps);
  const { kernel, move } = trace.at(at);
  const opens = trace.opens(at);
  const following = trace.moments[at + 1]?.move;
  const next = following?.reboots ? undefined : following?.word;

  useEffect(() => {
    if (branch) return;
    try {
      history.replaceState(null, '', `#after-${at}`);
    } catch {
      // A page inside another one, as in a mail reader, may not change its address; nothing depends on it.
    }
  }, [at, branch]);
  useLayoutEffect(() => {
    if (linked !== undefined) document.getElementById('steps')?.scrollIntoView();
  }, []);

  const take = (word: string): void => {
    if (word === next) return setSelected(at + 1);
    const taken = trace.branch(at, word);
    if (!taken) return;
    setBranch({ left: branch ? Math.min(branch.left, at) : at, trace: taken });
    setSelected(at + 1);
  };
  const goOn = (chance?: Random): void => {
    const { trace: further, ending } = trace.until(at).further(properties, chance);
    setBranch({ left: branch ? Math.min(branch.left, at) : at, trace: further, ending });
    setSelected(further.steps);
  };
  const back = (): void => {
    setSelected(branch?.left ?? own.steps);
    setBranch(undefined);
  };

  const threads = useMemo(() => {
    const acting = trace.moments.flatMap((each) => (each.move && each.move.thread !== '' ? [each.move.thread] : []));
    return [...new Set([...finding.lanes, ...acting])];
  }, [trace]);
  const kinds = useMemo(
    () => Object.fromEntries(Object.entries(booted.machine.threads).map(([name, { kind }]) => [name, kind])),
    [],
  );
  const broken = useMemo(() => {
    if (!branch) return finding.blame && { step: own.steps, what: `breaks ${finding.blame.property}` };
    const [blame] = trace.broken(trace.steps, properties);
    return blame && { step: trace.steps, what: `breaks ${signature(blame)}: ${blame.what}` };
  }, [branch, trace]);
  const promises = Object.keys(kernel.fences).filter((fence) => isPromised(kernel, fence));
  const text = move ? `${move.thread}: ${move.line}` : 'the start';

  return (
    <>
      <a class="skip" href="#steps">
        Skip to the steps
      </a>
      <Claim finding={finding} />
      <main>
        <Proof finding={finding} />
        <section aria-labelledby="steps-title" id="steps">
          <h2 id="steps-title">What happens</h2>
          <OddsStrip
            odds={finding.odds}
            steps={own.steps}
            selected={Math.min(at, branch?.left ?? own.steps)}
            select={setSelected}
          />
          <div class="panes">
            <Lanes
              {...{ trace, threads, kinds, narrow, broken }}
              selected={at}
              select={setSelected}
              left={branch?.left}
            />
            <div class="inspector" role="region" aria-label="The selected step">
              <div class="top">
                <Walk at={at} steps={trace.steps} text={text} select={setSelected} />
                {branch && (
                  <BranchBar
                    branch={branch}
                    broken={broken?.what}
                    rests={trace.rests(trace.steps)}
                    back={back}
                    likely={finding.odds.kind === 'none' ? undefined : () => likelyAfter(booted, finding, trace, at)}
                    at={at}
                  />
                )}
              </div>
              <section>
                <h3>{move ? `Step ${at}` : 'The start'}</h3>
                <StepDetails move={move} />
              </section>
              <section class="graph-section">
                <h3>Who waits for whom{move ? `, after step ${at}` : ''}</h3>
                <WaitGraph opens={opens} />
                {promises.length > 0 && (
                  <p>
                    Published and not signalled:{' '}
                    {promises
                      .map((fence) => `${fence} (owed by ${kernel.fences[fence]?.promisedBy ?? 'nobody'})`)
                      .join(', ')}
                    .
                  </p>
                )}
              </section>
              <section>
                <h3>What the step changed</h3>
                <Changes move={move} />
              </section>
              <section>
                <h3>Who can go on, and why not</h3>
                <p class="quiet">Take another choice here and see what follows:</p>
                <p class="ways">
                  <button type="button" onClick={() => goOn()}>
                    let everybody have turns
                  </button>
                  <button
                    type="button"
                    onClick={() => {
                      setRuns(runs + 1);
                      goOn(new Random(runs + 1));
                    }}
                  >
                    go on at random
                  </button>
                </p>
                <Threads {...{ booted, trace, next, take }} step={at} patient={finding.patient} />
              </section>
            </div>
          </div>
        </section>
      </main>
      <Sources finding={finding} />
    </>
  );
}

/** Step by step: buttons, a slider, and a line that says where one is, also to a screen reader. */
function Walk({
  at,
  steps,
  text,
  select,
}: {
  readonly at: number;
  readonly steps: number;
  readonly text: string;
  readonly select: (step: number) => void;
}) {
  return (
    <div class="walk">
      <button type="button" onClick={() => select(at - 1)} disabled={at === 0} aria-label="One step back">
        ◀
      </button>
      <input
        type="range"
        min={0}
        max={steps}
        value={at}
        aria-label="Step"
        aria-valuetext={`Step ${at} of ${steps}, ${text}`}
        onInput={(event) => select(Number(event.currentTarget.value))}
      />
      <button type="button" onClick={() => select(at + 1)} disabled={at === steps} aria-label="One step on">
        ▶
      </button>
      <p role="status">
        Step {at} of {steps}
        <span class="visually-hidden">: {text}</span>
      </p>
    </div>
  );
}

function BranchBar({
  branch,
  broken,
  rests,
  back,
  likely,
  at,
}: {
  readonly branch: Branch;
  readonly broken: string | undefined;
  readonly rests: boolean;
  readonly back: () => void;
  /** How likely the finding's own failure is from the selected step on; not every failure has odds. */
  readonly likely: (() => string) | undefined;
  readonly at: number;
}) {
  const [odds, setOdds] = useState<{ readonly trace: Trace; readonly at: number; readonly says: string }>();
  const { left, trace, ending } = branch;
  const steps = trace.steps - left;
  const came =
    broken === undefined
      ? rests
        ? 'nothing is broken, and nothing that is owed is left to happen'
        : `nothing is broken so far${ending === 'out of steps' ? `, in the ${MOST_FURTHER} steps that were tried` : ''}`
      : `it ${broken}`;
  return (
    <p class={`branch ${broken === undefined ? '' : 'bad'}`} role="status">
      You left the trace after step {left} and took {steps} step{steps === 1 ? '' : 's'} of your own: {came}.{' '}
      {odds?.trace === trace && odds.at === at && <>{odds.says} </>}
      <button type="button" onClick={back}>
        back to the trace
      </button>{' '}
      {likely && broken === undefined && (
        <button type="button" onClick={() => setOdds({ trace, at, says: likely() })}>
          how likely is the failure from here?
        </button>
      )}
    </p>
  );
}

/** Counted here and now, in the page. */
function likelyAfter(booted: Booted, finding: Finding, trace: Trace, at: number): string {
  const schedule = trace.moments.slice(1, at + 1).flatMap(({ move }) => (move ? [move.word] : []));
  const { blame, patient } = finding;
  const likely = blame && likelyFrom(booted, schedule, caseOfFinding(finding), properties, blame, { patient });
  return likely
    ? `After step ${at} the failure comes with ${percent(likely.low)} to ${percent(likely.high)} (${likely.walks} random walks).`
    : 'Chance has nothing to say about it.';
}

/** A link may lead to a step: page.html#after-12. */
function stepInHash(steps: number): number | undefined {
  const [, step] = /^#after-(\d+)$/.exec(location.hash) ?? [];
  return step === undefined ? undefined : Math.min(steps, Number(step));
}

const NARROW = '(max-width: 760px)';
function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const listen = (): void => setNarrow(query.matches);
    query.addEventListener('change', listen);
    return () => query.removeEventListener('change', listen);
  }, []);
  return narrow;
}
