/**
 * A bounded proof of minimality: the search goes through every shorter case of the same setting, whatever the processes
 * call, and either finds one with the same verdict, or proves that there is none, or says how far it came.
 *
 * Deleting words can get stuck where only a different story is shorter; this cannot. Circles and orders that lockdep
 * pieces together from several runs are proved like any other verdict (properties/search/nearest.ts, nearest-circle.ts).
 * What is never compared is another setting of the knobs: a finding of a setting stays a finding of that setting.
 */
import { type Case, REBOOT } from '../model/case.ts';
import { type Booted } from '../model/design.ts';
import { type Property, signature } from '../properties/property.ts';
import { nearestCircle } from '../properties/search/nearest-circle.ts';
import { nearest } from '../properties/search/nearest.ts';
import { atOnce } from './index.ts';
import { type ShrinkRequest, type Shrunk, type Want, shrink } from './shrink.ts';
import { wordsOf } from './words.ts';

/** The shortest case has no fewer words, and no more; the same number when it is proved. */
export interface Between {
  readonly least: number;
  readonly most: number;
}

export interface ShorterRequest {
  readonly booted: Booted;
  /** A case with the wanted verdict. */
  readonly run: Case;
  readonly want: Want;
  readonly properties: readonly Property[];
  readonly maxStates: number;
  readonly patient?: boolean;
}
export interface Shorter {
  /** A shortest case of all, if that is shorter than the one given. */
  readonly case?: Case;
  readonly words: Between;
  readonly searched: number;
}

/**
 * Look for a case of fewer words, or as few reboots as can be, with this verdict.
 * @throws when the verdict is of a property that is not among `properties`
 */
export function shorter({ booted, run, want, properties, maxStates, patient = true }: ShorterRequest): Shorter {
  const property = propertyOf(want, properties);
  const most = wordsOf(run).length;
  const request = { booted, property, want, fewerThan: most, reboots: rebootsOf(run), maxStates, patient };
  const { found, cleared, searched } = run.loop ? nearestCircle(request) : nearest(request);
  if (!found) return { words: { least: Math.min(most, cleared + 1), most }, searched };
  const shortest: Case = { design: run.design, knobs: run.knobs, ...found };
  const words = wordsOf(shortest).length;
  return { case: shortest, words: { least: Math.min(words, cleared + 1), most: words }, searched };
}

const rebootsOf = ({ schedule }: Case): number => schedule.filter((word) => word === REBOOT).length;
function propertyOf(want: Want, properties: readonly Property[]): Property {
  const property = properties.find(({ name }) => name === want.property);
  if (!property) throw new Error(`${want.property} is not among: ${properties.map(({ name }) => name).join(', ')}`);
  return property;
}

export interface Proved extends Shrunk {
  /** How many words the shortest case of this setting has, as far as that is known. */
  readonly words: Between;
  /** No case of this setting is shorter. */
  readonly proved: boolean;
  /** What the claim rests on, or how far was searched without settling it. */
  readonly because: string;
  /** States searched. */
  readonly searched: number;
}

/**
 * Shrink as far as one look at the whole case gets, ask the search for the shortest, and polish that: what has as few
 * words as any case needs no trying of single words. Where the search settles nothing at first, which for circles it is
 * not even asked, all passes shrink the case, and it is asked again, for less is left to search below a shorter case.
 * @param request as for `shrink`; `maxStates` bounds each search
 * @throws when the judge and the search contradict each other
 */
export function shrinkAndProve(request: ShrinkRequest & { readonly maxStates: number }): Proved {
  const { bootAt, want, properties, maxStates, patient = true } = request;
  const ask = (run: Case): Shorter => shorter({ booted: bootAt(run.knobs), run, want, properties, maxStates, patient });
  const early = request.run.loop === undefined && request.knobs !== 'tame';
  let shrunk = shrink(early ? { ...request, passes: atOnce } : request);
  let asked = ask(shrunk.case);
  let searched = asked.searched;
  if (early && asked.words.least < asked.words.most) {
    shrunk = shrink({ ...request, run: asked.case ?? shrunk.case, before: shrunk });
    asked = ask(shrunk.case);
    searched += asked.searched;
  }
  const { least, most } = asked.words;
  if (asked.case || early)
    shrunk = shrink({ ...request, run: asked.case ?? shrunk.case, knobs: 'keep', fewestWords: least, before: shrunk });
  const left = wordsOf(shrunk.case).length;
  if (left < least)
    throw new Error(`${signature(want)}: the search needs ${least} words for what the judge sees after ${left}`);
  const words = { least, most: Math.min(left, most) };
  const remembers = propertyOf(want, properties).gathers !== undefined;
  const claim = because(words, rebootsOf(shrunk.case), remembers);
  return { ...shrunk, words, proved: least === left, because: claim, searched };
}

/** In words, as a sentence goes on: of a property that remembers, only cases of as many runs are compared. */
function because({ least, most }: Between, reboots: number, remembers: boolean): string {
  const within = !remembers ? '' : reboots === 0 ? ' in one run' : ` in ${reboots + 1} runs or fewer`;
  if (least === most) return `no case of fewer than ${most} words does it${within}, whatever is called`;
  return `the shortest case has ${least} to ${most} words${within}, as far as was searched`;
}
