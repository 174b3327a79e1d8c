/**
 * The plan of a campaign: all that its batches follow from, besides the designs themselves. Two campaigns of equal plans
 * are parts of one; a part is a set of batches, and batches are a function of the plan and of their place in it.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { hashOf, programsOf } from '../../corpus/entry.ts';
import { PROPERTIES } from '../../model/design.ts';
import { canonical } from '../../model/schema.ts';
import { type Setting, bootSetting } from '../designs.ts';
import { defaultOut } from '../files.ts';

const name = z.string().min(1).max(200);
const schema = z.strictObject({
  format: z.literal(1),
  seed: z.number().int(),
  /** Runs of a batch. */
  runs: z.number().int().min(1).max(100_000),
  /** Chains of batches a setting. */
  lanes: z.number().int().min(1).max(10_000),
  properties: z.array(z.enum(PROPERTIES)),
  strategies: z.array(name).min(1),
  settings: z
    .array(
      z.strictObject({
        design: name,
        /** The file of a user's own design. */
        from: z.string().max(4096).exactOptional(),
        knobs: z.record(name, name),
        /** Of all programs and objects at this setting: batches of another design are not comparable. */
        programs: name,
      }),
    )
    .min(1),
});
export type Plan = z.infer<typeof schema>;

/** @throws when the text is no plan, in one line */
export function parsePlan(text: string): Plan {
  const parsed = schema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a plan'}`);
}
export const writePlan = (plan: Plan): string => `${JSON.stringify(plan, null, 1)}\n`;

/** Equal texts, equal batches: where a user's file lies does not matter. */
export const identityOfPlan = ({ settings, ...rest }: Plan): string =>
  canonical({ ...rest, settings: settings.map(({ design, knobs, programs }) => ({ design, knobs, programs })) });

/** A hash over everything that is declared at this setting. */
export const programsHash = async (setting: Setting): Promise<string> => hashOf(programsOf(await bootSetting(setting)));

/** A setting of the plan, as a worker can be told. */
export const settingOf = (plan: Plan, chain: number): Setting => {
  const { design, from, knobs } = plan.settings[chain % plan.settings.length] as Plan['settings'][number];
  return { design, knobs, ...(from === undefined ? {} : { from }) };
};
/** The corpus that a campaign is held against: the package's, and for a user's own design the one where findings go. */
export const corpusFor = ({ settings }: Plan): string => defaultOut(settings.some(({ from }) => from !== undefined));
export const chainsOf = ({ settings, lanes }: Plan): number => settings.length * lanes;

/** The seed of a batch comes from names and its place in the chain, so neither order nor number of workers matters. */
export function seedOf(plan: Plan, chain: number, round: number): number {
  const { design, knobs } = settingOf(plan, chain);
  return createHash('sha256')
    .update(canonical([plan.seed, design, knobs, Math.floor(chain / plan.settings.length), round]))
    .digest()
    .readInt32LE(0);
}

/**
 * The order of batches: chains take turns, one batch each at first, then two, four, eight in a row, so that every
 * setting is seen soon and a worker need not change machines all the time.
 */
const LONGEST_STINT = 8;
/** How many of the first `batches` batches belong to this chain. */
export function roundsWithin(plan: Plan, chain: number, batches: number): number {
  const chains = chainsOf(plan);
  let left = batches;
  let rounds = 0;
  for (let stint = 1; left > 0; stint = Math.min(LONGEST_STINT, stint * 2)) {
    const whole = stint === LONGEST_STINT ? Math.max(1, Math.floor(left / (chains * stint))) : 1;
    const mine = left >= chains * stint * whole ? stint * whole : left - chain * stint;
    rounds += Math.max(0, Math.min(stint * whole, mine));
    left -= chains * stint * whole;
  }
  return rounds;
}
/** In which turn of all chains this round falls: chains that are behind come first. */
export function turnOf(round: number): number {
  let turn = 0;
  let before = 0;
  for (let stint = 1; stint < LONGEST_STINT && before + stint <= round; stint *= 2) {
    before += stint;
    turn += 1;
  }
  return round - before < LONGEST_STINT && turn < 3 ? turn : turn + Math.floor((round - before) / LONGEST_STINT);
}
