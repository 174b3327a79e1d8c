#!/usr/bin/env node
/** The door: connects the program to this process. */
import { main } from './main.ts';
import { endQuietlyOnClosedPipe, processTerminal } from './terminal.ts';

endQuietlyOnClosedPipe();
process.exitCode = await main(process.argv.slice(2), processTerminal());
