"""Simple Chinese: greetings, who are you, thanks, and sums, also going on from the last result."""

from training.corpus.draw import Draw, Side
from training.corpus.framing import with_system
from training.corpus.numbers import Operation, Sum, random_sum
from training.samples import Dialogue, Message, Sample, assistant, user

_TALK: tuple[tuple[tuple[str, ...], str], ...] = (
    (("你好", "你好！", "您好", "您好！", "你好。", "嗨", "嗨！", "早上好", "早上好！", "晚上好", "大家好", "你好啊", "你好呀", "下午好", "喂，你好", "你好，你好", "早安", "您好啊", "早", "各位好", "你好，助手", "中午好"), "你好！有什么可以帮你的吗？"),
    (("你是谁？", "你是谁", "你叫什么名字？", "你叫什么？", "请介绍一下你自己。", "你是什么？", "你是机器人吗？", "介绍一下自己", "你的名字是什么？", "请问你是谁？", "请问你叫什么名字？", "你是人吗？", "你是谁呀？", "告诉我你是谁。", "请告诉我你的名字。", "你是什么模型？", "你叫什么名字呀？", "可以介绍一下你自己吗？", "你是助手吗？"), "我是 parley-mini，一个很小的演示模型。"),
    (("谢谢", "谢谢！", "谢谢你", "谢谢你！", "多谢", "多谢！", "非常感谢", "非常感谢！", "感谢你", "谢谢您！", "太谢谢了", "谢谢了", "多谢你", "十分感谢", "谢谢你的帮助", "好的，谢谢", "谢谢您的帮助", "太感谢了"), "不客气！"),
    (("再见", "再见！", "拜拜", "拜拜！", "晚安", "晚安！", "明天见", "下次见", "我走了", "回头见", "再会", "下次再见", "我要走了", "好的，再见", "先走了", "再见了", "祝你晚安", "明天再见"), "再见！祝你愉快。"),
    (("你好吗？", "你好吗", "你怎么样？", "最近好吗？", "你今天好吗？", "今天怎么样？", "你还好吗？", "最近怎么样？", "你最近好吗？", "你最近怎么样？", "您好吗？", "今天好吗？", "你今天怎么样？", "一切都好吗？", "过得好吗？"), "我很好，谢谢！"),
    (("你会说中文吗？", "你会中文吗？", "会说中文吗？", "你能说中文吗？", "可以说中文吗？", "你懂中文吗？", "你会不会中文？", "你可以说中文吗？", "你能说汉语吗？", "你会说汉语吗？", "你懂汉语吗？", "能用中文吗？", "可以用中文吗？", "你会讲中文吗？"), "我会一点中文。"),
    (("中国的首都是哪里？", "中国首都是哪里？", "中国的首都是什么？", "中国的首都在哪里？", "中国的首都是哪个城市？", "请问中国的首都是哪里？", "中国首都是哪个城市？", "哪里是中国的首都？", "哪个城市是中国的首都？", "请问中国首都在哪里？", "中国首都在哪儿？", "告诉我中国的首都。", "你知道中国的首都吗？"), "中国的首都是北京。"),
    (("今天天气怎么样？", "明天会下雨吗？", "现在几点了？", "今天是几号？", "谁是总统？", "你喜欢什么？", "股票会涨吗？", "我叫什么名字？", "今天会下雨吗？", "现在是什么时候？", "今天星期几？", "谁是国王？", "你几岁？", "我住在哪里？", "这个多少钱？", "你喜欢吃什么？", "明天是几号？"), "我不知道。"),
)  # fmt: skip
_SIGNS = {
    Operation.ADD: ("加", "加上"),
    Operation.SUBTRACT: ("减", "减去"),
    Operation.MULTIPLY: ("乘", "乘以"),
    Operation.DIVIDE: ("除以",),
}
_QUESTIONS = (
    "{sum}等于几？",
    "{sum}等于多少？",
    "{sum}是多少？",
    "{sum}是几？",
    "请问{sum}等于几？",
    "{sum}得多少？",
    "{sum}=?",
    "请计算{sum}。",
    "算一下{sum}。",
    "{sum}等于",
    "{sum}？",
    "告诉我{sum}等于几。",
    "请告诉我{sum}是多少？",
    "请问{sum}是多少？",
    "{sum}等于多少呢？",
    "计算{sum}。",
    "请算一下{sum}。",
    "{sum}得几？",
    "{sum}是多少呢？",
    "你知道{sum}等于几吗？",
    "{sum}的结果是多少？",
    "{sum}的结果是什么？",
    "求{sum}。",
    "请问{sum}得多少？",
)
_NEXT = (
    "再{sign}{b}呢？",
    "再{sign}{b}等于几？",
    "再{sign}{b}是多少？",
    "如果再{sign}{b}呢？",
    "然后{sign}{b}呢？",
    "那再{sign}{b}呢？",
    "{sign}{b}呢？",
    "现在再{sign}{b}呢？",
    "那{sign}{b}呢？",
    "再{sign}{b}得多少？",
    "如果{sign}{b}呢？",
    "如果再{sign}{b}等于几？",
    "然后再{sign}{b}呢？",
    "那么再{sign}{b}呢？",
    "接着{sign}{b}呢？",
    "再{sign}{b}。",
    "那再{sign}{b}是多少？",
)
_DIGITS = "零一二三四五六七八九"


def chinese(draw: Draw) -> Sample:
    """Talk or sums in Chinese, one to three turns."""
    turns = _sums(draw) if draw.chance(0.55) else _talk(draw)
    return Dialogue(skill="chinese", messages=with_system(draw, tuple(turns)))


def _talk(draw: Draw) -> list[Message]:
    turns: list[Message] = []
    for _ in range(draw.pick((1, 1, 2))):
        questions, answer = draw.pick(_TALK)
        turns += [user(draw.template(f"chinese_{answer}", questions)), assistant(answer)]
    return turns


def _sums(draw: Draw) -> list[Message]:
    made = random_sum(draw, draw.pick(tuple(Operation)))
    if draw.chance(0.6):
        sign = draw.pick(_SIGNS[made.operation])
        text = f"{_number(draw, made.left)}{sign}{_number(draw, made.right)}"
    else:
        text = f"{made.left}{made.operation}{made.right}"
    turns = [user(draw.template("chinese_sum", _QUESTIONS).format(sum=text)), assistant(f"{made.text}。")]
    while draw.chance(0.35):
        following = Sum(made.result, draw.pick((Operation.ADD, Operation.SUBTRACT)), draw.between(1, 20))
        if not following.is_in_range() or following.is_held_out() != (draw.side is Side.HELD_OUT):
            break
        made = following
        asked = draw.template("chinese_next", _NEXT).format(
            sign=draw.pick(_SIGNS[made.operation]), b=_number(draw, made.right)
        )
        turns += [user(asked), assistant(f"{made.text}。")]
    return turns


def _number(draw: Draw, number: int) -> str:
    if number not in range(100) or draw.chance(0.6):
        return str(number)
    tens, ones = divmod(number, 10)
    if tens == 0:
        return _DIGITS[ones]
    return ("" if tens == 1 else _DIGITS[tens]) + "十" + (_DIGITS[ones] if ones else "")
