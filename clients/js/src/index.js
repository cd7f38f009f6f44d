/** Foldline at the edge: see README.md. */

export { Decider } from './decider.js';
export { Edge } from './edge/edge.js';
export { browserStorage, memoryStorage } from './edge/storage.js';
export { EdgeError } from './errors.js';
export { draw, partitionOf } from './hashing/draw.js';
