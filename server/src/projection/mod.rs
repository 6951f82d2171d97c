//! Box 7, Projection Worker: builds read models from ordered events.
