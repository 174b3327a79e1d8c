/**
 * The driver of shrinking: runs, counts, limits, remembers and accepts. Passes only propose.
 *
 * A shrink is pinned on one signature, so it never slips into another bug; other bugs met on the way are findings of
 * their own. A proposal is accepted when it brings the wanted verdict and is simpler (simpler.ts), so the case only
 * ever gets simpler and a proposal refused once stays refused. The list of passes is gone through again until a whole
 * round changes nothing: then no single proposal is left, and the case is minimal with respect to all of them.
 */
import type { Case } from '../model/case.ts';
import { type Booted, type Knobs, start } from '../model/design.ts';
import { canonical } from '../model/schema.ts';
import { type Judgement, judge } from '../properties/judge.ts';
import { type Blame, type Property, signature } from '../properties/property.ts';
import { cutTail } from './cut-tail.ts';
import { passes as allPasses } from './index.ts';
import type { Bench, Pass } from './pass.ts';
import { type Size, isSimpler, sizeOf, sizeOfText } from './simpler.ts';
import type { Trace } from './trace.ts';
import { withWords, wordsOf } from './words.ts';

/** The verdict that must stay: the sort of bug, whatever the names in it. */
export type Want = Pick<Blame, 'property' | 'kind'>;

export interface ShrinkRequest {
  /** The design at these knobs; remembered by the caller, for it is asked for every proposal. */
  readonly bootAt: (knobs: Knobs) => Booted;
  readonly run: Case;
  readonly want: Want;
  readonly properties: readonly Property[];
  /** Words that may be played in all. */
  readonly budget: number;
  /** Keep the setting, or look for the tamest one with the same verdict. */
  readonly knobs?: 'keep' | 'tame';
  /** Timers only when nothing fair can move. */
  readonly patient?: boolean;
  readonly passes?: readonly Pass[];
  /** It is known that no case of this setting has fewer words: proposals of fewer are refused unseen. */
  readonly fewestWords?: number;
  /** What went before and counts as well. */
  readonly before?: Pick<Shrunk, 'runs' | 'steps' | 'others'>;
}
/** Another bug that came by, and the shortest case seen for it. */
export interface Other {
  readonly blame: Blame;
  readonly case: Case;
}
export interface Shrunk {
  readonly case: Case;
  /** Cases judged. */
  readonly runs: number;
  /** Words played. */
  readonly steps: number;
  /** No pass has anything left to propose. */
  readonly complete: boolean;
  readonly why: string;
  readonly others: readonly Other[];
}

interface Standing {
  readonly run: Case;
  readonly trace: Trace;
  readonly size: Size;
  readonly blame: Blame;
  readonly booted: Booted;
}

const NOTHING: Pick<Shrunk, 'runs' | 'steps' | 'others'> = { runs: 0, steps: 0, others: [] };

/**
 * The simplest case that the passes find with the same verdict.
 * @throws when the case does not bring the wanted verdict to begin with, listing those it brings
 */
export function shrink(request: ShrinkRequest): Shrunk {
  const { bootAt, run, want, properties, budget, knobs = 'keep', patient = true, passes = allPasses } = request;
  const { fewestWords = 0, before: { runs: runsBefore, steps: stepsBefore, others: othersBefore } = NOTHING } = request;
  const pinned = signature(want);
  const others = new Map(othersBefore.map((other) => [signature(other.blame), other] as const));
  const tried = new Set<string>();
  let runs = runsBefore;
  let steps = stepsBefore;

  const verdictOn = (candidate: Case): Judgement => {
    runs += 1;
    steps += wordsOf(candidate).length;
    const judgement = judge(bootAt(candidate.knobs), candidate, properties, patient);
    for (const other of othersIn(candidate, judgement, pinned)) {
      const known = others.get(signature(other.blame));
      if (!known || wordsOf(other.case).length < wordsOf(known.case).length) others.set(signature(other.blame), other);
    }
    return judgement;
  };
  const standing = (candidate: Case): Standing | undefined => {
    const verdict = verdictOn(candidate).verdicts.find(({ blame }) => signature(blame) === pinned);
    if (!verdict) return undefined;
    const booted = bootAt(candidate.knobs);
    const cut = cutTail(booted, candidate, verdict.after, patient);
    return { ...cut, booted, blame: verdict.blame, size: sizeOf(booted, cut.run, cut.trace) };
  };

  const given = standing(run);
  if (!given)
    throw new Error(`this case does not break ${pinned}; it breaks: ${[...others.keys()].join(', ') || 'nothing'}`);
  let now = given;
  const bench: Bench = {
    get now() {
      return now.run;
    },
    get trace() {
      return now.trace;
    },
    get blame() {
      return now.blame;
    },
    get booted() {
      return now.booted;
    },
    patient,
  };
  const consider = (candidate: Case): 'accepted' | 'refused' | 'spent' => {
    const text = canonical(candidate);
    if (tried.has(text)) return 'refused';
    if (knobs === 'keep' && canonical(candidate.knobs) !== canonical(now.run.knobs)) return 'refused';
    if (!canStart(bootAt(candidate.knobs), candidate)) return 'refused';
    if (isTooMuchToAsk(bootAt(candidate.knobs), candidate, now, fewestWords)) return 'refused';
    if (steps + wordsOf(candidate).length > budget) return 'spent';
    tried.add(text);
    const next = standing(candidate);
    if (!next || !isSimpler(next.size, now.size)) return 'refused';
    now = next;
    tried.add(canonical(next.run));
    return 'accepted';
  };
  const result = (complete: boolean, why: string): Shrunk => ({
    case: now.run,
    runs,
    steps,
    complete,
    why,
    others: [...others.values()],
  });

  for (let before: Standing | undefined; before !== now; ) {
    before = now;
    for (const pass of passes) {
      const proposals = pass.proposals(bench);
      for (let next = proposals.next(); !next.done; ) {
        const answer = consider(next.value);
        if (answer === 'spent') return result(false, `the budget of ${budget} steps ran out in ${pass.name}`);
        next = proposals.next(answer === 'accepted');
      }
    }
  }
  return result(true, 'nothing more can be dropped, merged, tamed or put in order');
}

/** The verdicts of other signatures, each with the words that led to it. */
function othersIn(run: Case, { verdicts, words, skipped }: Judgement, pinned: string): Other[] {
  const lost = new Set(skipped);
  return verdicts
    .filter(({ blame }) => signature(blame) !== pinned)
    .map(({ blame, after }) => {
      const schedule = words.filter((_word, at) => at < after && !lost.has(at));
      return { blame, case: withWords(run, schedule, after > run.schedule.length ? run.loop : []) };
    });
}

/** Fewer words than any case has; or just as many, all of which must then be followed, and in what decides next no simpler. */
function isTooMuchToAsk(booted: Booted, candidate: Case, now: Standing, fewestWords: number): boolean {
  const words = wordsOf(candidate).length;
  if (words > fewestWords) return false;
  return words < fewestWords || isSimpler(now.size, sizeOfText(booted, candidate));
}

/** At other knobs there may be other users and other calls. */
function canStart(booted: Booted, { workload }: Case): boolean {
  try {
    start(booted, workload);
    return true;
  } catch {
    return false;
  }
}
