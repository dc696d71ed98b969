"""What the header of a projector's file says of it, and which kinds have pictures that can be placed in a prompt."""

from parley.core.gguf import GgufHeader, InvalidModelFile

_KIND_FIELDS = ("clip.projector_type", "clip.vision.projector_type")
# How these place a picture depends on what stands before it in the prompt.
_UNPLACEABLE = frozenset({"deepseek4v", "hunyuanvl"})


def projector_kind(header: GgufHeader) -> str:
    """The kind of projector, in llama.cpp's word. Raises InvalidModelFile for what is none, or cannot be used here."""
    if header.architecture != "clip":
        raise InvalidModelFile("It is no projector: its architecture is not clip.")
    if not header.fields.get("clip.has_vision_encoder"):
        raise InvalidModelFile("It is a projector that does not see.")
    kind = next((str(header.fields[field]) for field in _KIND_FIELDS if header.fields.get(field)), "")
    if not kind:
        raise InvalidModelFile("It does not say what kind of projector it is.")
    if kind in _UNPLACEABLE:
        raise InvalidModelFile(f"Projectors of the kind {kind} are not supported.")
    return kind
